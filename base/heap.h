// Controls what the process's heap does with freed memory.
#ifndef STYLEX_BASE_HEAP_H_
#define STYLEX_BASE_HEAP_H_

namespace stylex {

// Every operator allocates and frees tensors of a few MB. By default glibc maps each of them, and
// the kernel clears its pages one fault at a time: a quarter of a training step. After this call
// freed memory is kept and reused; malloc_trim(0) still returns it to the system. Call first in
// main; does nothing with C libraries other than glibc.
void KeepFreedMemory();

// For a server with many threads, after KeepFreedMemory: all threads share two arenas, because
// glibc returns only whole pages between blocks of all but the first, never their freed end; with a
// single one, threads wait for each other (a tenth of the calls a second on two processors). Blocks
// of tens of MB, such as decoded photographs, are mapped and returned at once.
void ShareFewArenas();

// Returns freed memory to the system; takes milliseconds.
void ReturnFreedMemory();

}  // namespace stylex

#endif  // STYLEX_BASE_HEAP_H_
