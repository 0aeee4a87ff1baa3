/* CUDA's vector types, from C and C++. */
#ifndef EBB_EMULATOR_VECTOR_TYPES_H
#define EBB_EMULATOR_VECTOR_TYPES_H

#ifdef __cplusplus
#define EBB_EMULATOR_ALIGN(bytes) alignas(bytes)
#define EBB_EMULATOR_MAKE         static inline
#else
#define EBB_EMULATOR_ALIGN(bytes) __attribute__((aligned(bytes)))
#define EBB_EMULATOR_MAKE         static inline __attribute__((unused))
#endif

/* TYPE2 and TYPE4 are aligned to their size (16 bytes at most), TYPE3 like its elements. */
#define EBB_EMULATOR_VECTORS(name, type, align2, align4)                                                     \
  typedef struct EBB_EMULATOR_ALIGN(align2) name##2 {                                                        \
    type x, y;                                                                                               \
  }                                                                                                          \
  name##2;                                                                                                   \
  typedef struct name##3 {                                                                                   \
    type x, y, z;                                                                                            \
  }                                                                                                          \
  name##3;                                                                                                   \
  typedef struct EBB_EMULATOR_ALIGN(align4) name##4 {                                                        \
    type x, y, z, w;                                                                                         \
  }                                                                                                          \
  name##4;                                                                                                   \
  EBB_EMULATOR_MAKE name##2 make_##name##2(type x, type y) {                                                 \
    name##2 v = {x, y};                                                                                      \
    return v;                                                                                                \
  }                                                                                                          \
  EBB_EMULATOR_MAKE name##3 make_##name##3(type x, type y, type z) {                                         \
    name##3 v = {x, y, z};                                                                                   \
    return v;                                                                                                \
  }                                                                                                          \
  EBB_EMULATOR_MAKE name##4 make_##name##4(type x, type y, type z, type w) {                                 \
    name##4 v = {x, y, z, w};                                                                                \
    return v;                                                                                                \
  }

EBB_EMULATOR_VECTORS(char, signed char, 2, 4)
EBB_EMULATOR_VECTORS(uchar, unsigned char, 2, 4)
EBB_EMULATOR_VECTORS(short, short, 4, 8)
EBB_EMULATOR_VECTORS(ushort, unsigned short, 4, 8)
EBB_EMULATOR_VECTORS(int, int, 8, 16)
EBB_EMULATOR_VECTORS(uint, unsigned int, 8, 16)
EBB_EMULATOR_VECTORS(longlong, long long int, 16, 16)
EBB_EMULATOR_VECTORS(ulonglong, unsigned long long int, 16, 16)
EBB_EMULATOR_VECTORS(float, float, 8, 16)
EBB_EMULATOR_VECTORS(double, double, 16, 16)

typedef struct dim3 {
  unsigned int x, y, z;
#ifdef __cplusplus
  constexpr dim3(unsigned int nx = 1, unsigned int ny = 1, unsigned int nz = 1) : x(nx), y(ny), z(nz) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
#endif
} dim3;

#endif
