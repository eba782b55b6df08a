# A toolchain file: clang, under whichever name Debian has it (12: clang++-14, 13: clang++-19, or clang++).
find_program(STYLEX_CLANG NAMES clang++ clang++-19 clang++-18 clang++-17 clang++-16 clang++-15 clang++-14 REQUIRED)
set(CMAKE_CXX_COMPILER ${STYLEX_CLANG})
