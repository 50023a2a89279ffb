# The start of the container: copy the compiled loops to where they can be written, compile what this processor lacks, run featrec.
set -eu
if [ ! -d "$NUMBA_CACHE_DIR" ]; then
    mkdir -m 700 "$NUMBA_CACHE_DIR" # whoever can write here can run code as this user
    cp -r "$FEATREC_CACHE/." "$NUMBA_CACHE_DIR/"
fi
featrec warm $FEATREC_RECIPES >&2
exec featrec "$@"
