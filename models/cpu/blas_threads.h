#ifndef STYLEX_MODELS_CPU_BLAS_THREADS_H_
#define STYLEX_MODELS_CPU_BLAS_THREADS_H_

namespace stylex {

// Makes matrix products run on the thread that asks for them, in the whole process. Work is split
// over the cores one level higher, batch by batch, with OpenMP; the threads that Debian's OpenBLAS
// keeps on its own know nothing of that and would compete with it for the same cores. Does nothing
// where LibTorch has another BLAS. Thread-safe.
void UseOneBlasThread();

}  // namespace stylex

#endif  // STYLEX_MODELS_CPU_BLAS_THREADS_H_
