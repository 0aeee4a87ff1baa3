/* Tables of the transforms that one block of a GPU makes in registers and shared memory (kernels/fft.cuh). A
   row of n points, n = 256 .. 16384 a power of two, is worked on by n / points threads in three passes of the
   radices `points`, EBB_ROW_SECOND and EBB_ROW_THIRD. The numbers are macros because kernels need them as
   constants. */
#ifndef EBB_HOST_FFT_ROW_H
#define EBB_HOST_FFT_ROW_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { EBB_ROW_SHORTEST = 256, EBB_ROW_LONGEST = 16384 };

#define EBB_ROW_POINTS(n)  ((n) <= 4096 ? 16 : 32) /* of a thread */
#define EBB_ROW_THREADS(n) ((n) / EBB_ROW_POINTS(n))
#define EBB_ROW_SECOND(n)  ((n) <= 8192 ? 16 : 32)
#define EBB_ROW_THIRD(n)   (EBB_ROW_THREADS(n) / EBB_ROW_SECOND(n))

/* The transform for rows of L values: the smallest n >= L; 0 where L is too long for one block. */
int64_t ebb_row_fft_length(int64_t L);

/* Bytes of the table for a length from ebb_row_fft_length, and its content; `length` points to an int64_t. */
size_t ebb_row_fft_table_bytes(int64_t n);
void ebb_row_fft_table_fill(const void *length, void *table);

#ifdef __cplusplus
}
#endif
#endif
