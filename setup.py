"""Packages of the wheel. The lessons are in docs/course, and are installed as featrec/course/lessons."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["featrec*"]), "featrec.course.lessons"],
    package_dir={"featrec.course.lessons": "docs/course"},
)
