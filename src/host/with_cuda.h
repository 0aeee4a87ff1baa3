/* The one place that asks whether this build has the CUDA backend. */
#ifndef EBB_HOST_WITH_CUDA_H
#define EBB_HOST_WITH_CUDA_H

/* A table's entry for the CUDA backend: NULL in a build without it. */
#ifdef EBB_WITH_CUDA
#define EBB_CUDA_ENTRY(entry) (entry)
#else
#define EBB_CUDA_ENTRY(entry) NULL
#endif

#endif
