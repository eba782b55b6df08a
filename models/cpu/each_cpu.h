// Like Debian's packages, the project is compiled for the oldest processors of an architecture.
// Functions marked STYLEX_FOR_EACH_CPU are compiled for newer ones as well; the loader chooses the
// best version at run time.
#ifndef STYLEX_MODELS_CPU_EACH_CPU_H_
#define STYLEX_MODELS_CPU_EACH_CPU_H_

// Not with sanitizers: the choice is made before they have started, and crashes.
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(STYLEX_SANITIZED)
#define STYLEX_FOR_EACH_CPU \
  __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define STYLEX_FOR_EACH_CPU
#endif

// For code called from such functions: it must be inlined to be compiled for the same processor.
#define STYLEX_INLINE [[gnu::always_inline]] inline

#endif  // STYLEX_MODELS_CPU_EACH_CPU_H_
