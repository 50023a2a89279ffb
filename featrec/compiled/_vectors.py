"""Small pieces of LLVM code over vectors, for the intrinsics of other files.

The cache of compiled loops does not see changes in here: a piece keeps its meaning, and a new meaning gets a new name.
"""


def spread(builder, value, lanes):
    """A vector of so many copies of one number."""
    from llvmlite import ir

    index = ir.IntType(32)
    undefined = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(index, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(index, lanes), [0] * lanes))


def vector_at(builder, pointer, offset, kind, lanes):
    """Where so many numbers of a kind begin."""
    from llvmlite import ir

    return builder.bitcast(builder.gep(pointer, [offset]), ir.VectorType(kind, lanes).as_pointer())


def least(builder, left, right):
    """The smaller of each two."""
    return builder.select(builder.fcmp_ordered("<", left, right), left, right)


def total(builder, vectors):
    """The sum over all lanes of all vectors, as many as a power of two."""
    from llvmlite import ir

    while len(vectors) > 1:
        vectors = [builder.fadd(left, right) for left, right in zip(vectors[::2], vectors[1::2], strict=True)]
    index, (whole,) = ir.IntType(32), vectors
    lanes = whole.type.count
    step = lanes // 2
    while step:
        order = ir.Constant(ir.VectorType(index, lanes), [(lane + step) % lanes for lane in range(lanes)])
        whole = builder.fadd(whole, builder.shuffle_vector(whole, whole, order))
        step //= 2
    return builder.extract_element(whole, ir.Constant(index, 0))
