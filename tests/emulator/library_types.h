/* Types that CUDA's libraries share, with CUDA's values. */
#ifndef EBB_EMULATOR_LIBRARY_TYPES_H
#define EBB_EMULATOR_LIBRARY_TYPES_H

typedef enum cudaDataType_t { CUDA_R_32F = 0, CUDA_R_16BF = 14 } cudaDataType_t;
typedef cudaDataType_t cudaDataType;

typedef enum libraryPropertyType_t { MAJOR_VERSION, MINOR_VERSION, PATCH_LEVEL } libraryPropertyType;

#endif
