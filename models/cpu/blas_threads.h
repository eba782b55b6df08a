#ifndef STYLEX_MODELS_CPU_BLAS_THREADS_H_
#define STYLEX_MODELS_CPU_BLAS_THREADS_H_

namespace stylex {

// Makes matrix products run on the calling thread, in the whole process. Work is distributed over
// the cores one level higher, batch by batch, with OpenMP; the thread pool of Debian's OpenBLAS
// would compete with it for the same cores. Does nothing where LibTorch uses another BLAS.
// Thread-safe.
void UseOneBlasThread();

}  // namespace stylex

#endif  // STYLEX_MODELS_CPU_BLAS_THREADS_H_
