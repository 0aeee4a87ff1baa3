/* Decimation-in-frequency passes of radix 2, 3, 4, 5 and 8 over whole vectors down to blocks of 256, which
   two radix-16 steps with a 16x16 transposition between them finish in registers and first-level cache. The
   inverse runs the transposed flow (decimation in time, which undoes the order) with real and imaginary parts
   swapped. */
#include "host/fft_pair.h"

#include <math.h>
#include <stdbool.h>

#include "ebb/scalar.h"
#include "host/lanes.h"

enum { LANES = EBB_LANES, BASE = 256 };

typedef EbbLanes Vec;
typedef struct Cvec {
  Vec re, im;
} Cvec;

EBB_INLINE Cvec load(const float *re, const float *im) {
  Cvec z = {*(const Vec *)(const void *)re, *(const Vec *)(const void *)im};
  return z;
}
EBB_INLINE void store(float *re, float *im, Cvec z) {
  *(Vec *)(void *)re = z.re;
  *(Vec *)(void *)im = z.im;
}
EBB_INLINE Cvec add(Cvec a, Cvec b) { return (Cvec){a.re + b.re, a.im + b.im}; }
EBB_INLINE Cvec sub(Cvec a, Cvec b) { return (Cvec){a.re - b.re, a.im - b.im}; }
EBB_INLINE Cvec mul(Cvec a, Cvec b) { return (Cvec){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }
EBB_INLINE Cvec mul_constant(Cvec a, float re, float im) {
  return (Cvec){a.re * re - a.im * im, a.re * im + a.im * re};
}
EBB_INLINE Cvec scale(Cvec a, float s) { return (Cvec){a.re * s, a.im * s}; }
EBB_INLINE Cvec times_minus_i(Cvec a) { return (Cvec){a.im, -a.re}; }

EBB_INLINE void dft2(Cvec *x) {
  Cvec a = x[0], b = x[1];
  x[0] = add(a, b), x[1] = sub(a, b);
}

EBB_INLINE void dft3(Cvec *x) {
  Cvec sum = add(x[1], x[2]), turn = times_minus_i(scale(sub(x[1], x[2]), 0.866025403784438647f));
  Cvec middle = sub(x[0], scale(sum, 0.5f));
  x[0] = add(x[0], sum), x[1] = add(middle, turn), x[2] = sub(middle, turn);
}

EBB_INLINE void dft4(Cvec *x0, Cvec *x1, Cvec *x2, Cvec *x3) {
  Cvec a = add(*x0, *x2), b = sub(*x0, *x2), c = add(*x1, *x3), d = times_minus_i(sub(*x1, *x3));
  *x0 = add(a, c), *x1 = add(b, d), *x2 = sub(a, c), *x3 = sub(b, d);
}

EBB_INLINE void dft5(Cvec *x) {
  const float c1 = 0.309016994374947424f, c2 = -0.809016994374947424f;
  const float s1 = 0.951056516295153572f, s2 = 0.587785252292473129f;
  Cvec p = add(x[1], x[4]), q = add(x[2], x[3]), r = sub(x[1], x[4]), t = sub(x[2], x[3]);
  Cvec a = add(x[0], add(scale(p, c1), scale(q, c2))), b = add(x[0], add(scale(p, c2), scale(q, c1)));
  Cvec u = times_minus_i(add(scale(r, s1), scale(t, s2)));
  Cvec v = times_minus_i(sub(scale(r, s2), scale(t, s1)));
  x[0] = add(x[0], add(p, q));
  x[1] = add(a, u), x[2] = add(b, v), x[3] = sub(b, v), x[4] = sub(a, u);
}

EBB_INLINE void dft8(Cvec *x) {
  const float h = 0.707106781186547524f;
  dft4(&x[0], &x[2], &x[4], &x[6]);
  dft4(&x[1], &x[3], &x[5], &x[7]);
  Cvec e0 = x[0], e1 = x[2], e2 = x[4], e3 = x[6], o0 = x[1];
  Cvec o1 = scale((Cvec){x[3].re + x[3].im, x[3].im - x[3].re}, h);
  Cvec o2 = times_minus_i(x[5]);
  Cvec o3 = scale((Cvec){x[7].im - x[7].re, -x[7].re - x[7].im}, h);
  x[0] = add(e0, o0), x[1] = add(e1, o1), x[2] = add(e2, o2), x[3] = add(e3, o3);
  x[4] = sub(e0, o0), x[5] = sub(e1, o1), x[6] = sub(e2, o2), x[7] = sub(e3, o3);
}

/* x[4 b + a] holds input b + 4 a before and output 4 b + a after: a 4x4 split whose own transposition is left
   to the indices of the caller's loads and stores. */
EBB_INLINE void dft16(Cvec *x) {
  const float c = 0.923879532511286756f, s = 0.382683432365089772f, h = 0.707106781186547524f;
  for (int b = 0; b < 4; b++) dft4(&x[b], &x[b + 4], &x[b + 8], &x[b + 12]);
  x[5] = mul_constant(x[5], c, -s);
  x[6] = scale((Cvec){x[6].re + x[6].im, x[6].im - x[6].re}, h);
  x[7] = mul_constant(x[7], s, -c);
  x[9] = scale((Cvec){x[9].re + x[9].im, x[9].im - x[9].re}, h);
  x[10] = times_minus_i(x[10]);
  x[11] = scale((Cvec){x[11].im - x[11].re, -x[11].re - x[11].im}, h);
  x[13] = mul_constant(x[13], s, -c);
  x[14] = scale((Cvec){x[14].im - x[14].re, -x[14].re - x[14].im}, h);
  x[15] = mul_constant(x[15], -c, s);
  for (int a = 0; a < 16; a += 4) dft4(&x[a], &x[a + 1], &x[a + 2], &x[a + 3]);
}
/* Output q of dft16 lies at x[4 (q % 4) + q / 4]. */
EBB_INLINE int dft16_place(int q) { return 4 * (q % 4) + q / 4; }

EBB_INLINE void dft(int radix, Cvec *x) {
  if (radix == 2) dft2(x);
  if (radix == 3) dft3(x);
  if (radix == 4) dft4(&x[0], &x[1], &x[2], &x[3]);
  if (radix == 5) dft5(x);
  if (radix == 8) dft8(x);
}

/* One pass: every block of radix * span points becomes `radix` blocks of span points. w holds, for each
   vector of positions, radix - 1 complex vectors. */
EBB_INLINE void dif_pass(int radix, float *re, float *im, int64_t n, int64_t span, const float *twiddles) {
  for (int64_t block = 0; block < n; block += radix * span) {
    const float *w = twiddles;
    for (int64_t j = block; j < block + span; j += LANES, w += (ptrdiff_t)(2 * LANES) * (radix - 1)) {
      Cvec x[8];
      for (int k = 0; k < radix; k++) x[k] = load(re + j + k * span, im + j + k * span);
      dft(radix, x);
      store(re + j, im + j, x[0]);
      for (int k = 1; k < radix; k++) {
        const float *f = w + (ptrdiff_t)(2 * LANES) * (k - 1);
        store(re + j + k * span, im + j + k * span, mul(x[k], load(f, f + LANES)));
      }
    }
  }
}

EBB_INLINE void dit_pass(int radix, float *re, float *im, int64_t n, int64_t span, const float *twiddles) {
  for (int64_t block = 0; block < n; block += radix * span) {
    const float *w = twiddles;
    for (int64_t j = block; j < block + span; j += LANES, w += (ptrdiff_t)(2 * LANES) * (radix - 1)) {
      Cvec x[8];
      x[0] = load(re + j, im + j);
      for (int k = 1; k < radix; k++) {
        const float *f = w + (ptrdiff_t)(2 * LANES) * (k - 1);
        x[k] = mul(load(re + j + k * span, im + j + k * span), load(f, f + LANES));
      }
      dft(radix, x);
      for (int k = 0; k < radix; k++) store(re + j + k * span, im + j + k * span, x[k]);
    }
  }
}

typedef void (*PassFn)(float *re, float *im, int64_t n, int64_t span, const float *twiddles);
typedef struct Pass {
  PassFn dif, dit;
} Pass;

#define PASS(radix)                                                                                          \
  static void dif##radix(float *re, float *im, int64_t n, int64_t span, const float *w) {                    \
    dif_pass(radix, re, im, n, span, w);                                                                     \
  }                                                                                                          \
  static void dit##radix(float *re, float *im, int64_t n, int64_t span, const float *w) {                    \
    dit_pass(radix, re, im, n, span, w);                                                                     \
  }
PASS(2)
PASS(3)
PASS(4)
PASS(5)
PASS(8)

static const Pass passes[9] = {
    [2] = {dif2, dit2}, [3] = {dif3, dit3}, [4] = {dif4, dit4}, [5] = {dif5, dit5}, [8] = {dif8, dit8}};

/* Radix of the pass over blocks of `length` points; 0 where the base takes over. */
static int radix_of(int64_t length) {
  int64_t rest = length / BASE;
  if (rest == 1) return 0;
  if (rest % 3 == 0) return 3;
  if (rest % 5 == 0) return 5;
  if (rest % 8 == 0 && rest != 16) return 8;
  return rest % 4 == 0 ? 4 : 2;
}

EBB_INLINE void transpose_complex(Cvec *x) {
  Vec part[LANES];
  for (int r = 0; r < LANES; r++) part[r] = x[r].re;
  ebb_lanes_transpose(part);
  for (int r = 0; r < LANES; r++) x[r].re = part[r], part[r] = x[r].im;
  ebb_lanes_transpose(part);
  for (int r = 0; r < LANES; r++) x[r].im = part[r];
}

/* Transforms of 256 points: rows of 16, radix 16 down the columns, turn, transpose, radix 16 again. */
static void dif_base(float *re, float *im, int64_t n, const float *twiddles) {
  for (int64_t block = 0; block < n; block += BASE) {
    Cvec x[LANES], y[LANES];
    for (int k = 0; k < LANES; k++) x[k] = load(re + block + LANES * k, im + block + LANES * k);
    dft16(x);
    for (int q = 0; q < LANES; q++) {
      const float *f = twiddles + (ptrdiff_t)(2 * LANES) * q;
      y[q] = mul(x[dft16_place(q)], load(f, f + LANES));
    }
    transpose_complex(y);
    dft16(y);
    for (int k = 0; k < LANES; k++) store(re + block + LANES * k, im + block + LANES * k, y[dft16_place(k)]);
  }
}

static void dit_base(float *re, float *im, int64_t n, const float *twiddles) {
  for (int64_t block = 0; block < n; block += BASE) {
    Cvec x[LANES], y[LANES];
    for (int k = 0; k < LANES; k++) x[k] = load(re + block + LANES * k, im + block + LANES * k);
    dft16(x);
    for (int k = 0; k < LANES; k++) y[k] = x[dft16_place(k)];
    transpose_complex(y);
    for (int q = 0; q < LANES; q++) {
      const float *f = twiddles + (ptrdiff_t)(2 * LANES) * q;
      x[q] = mul(y[q], load(f, f + LANES));
    }
    dft16(x);
    for (int k = 0; k < LANES; k++) store(re + block + LANES * k, im + block + LANES * k, x[dft16_place(k)]);
  }
}

static int64_t pass_floats(int64_t length, int radix) { return 2 * (length / radix) * (radix - 1); }

void ebb_pair_forward(const EbbPairFft *fft, float *z) {
  float *re = z, *im = z + ebb_pair_imag(fft->n);
  const float *w = fft->twiddles;
  int64_t length = fft->n;
  for (int radix = radix_of(length); radix; radix = radix_of(length)) {
    passes[radix].dif(re, im, fft->n, length / radix, w);
    w += pass_floats(length, radix);
    length /= radix;
  }
  dif_base(re, im, fft->n, w);
}

static void inverse_passes(const EbbPairFft *fft, float *re, float *im, int64_t length, const float *w) {
  int radix = radix_of(length);
  if (!radix) {
    dit_base(re, im, fft->n, w);
    return;
  }
  inverse_passes(fft, re, im, length / radix, w + pass_floats(length, radix));
  passes[radix].dit(re, im, fft->n, length / radix, w);
}

void ebb_pair_inverse(const EbbPairFft *fft, float *z) {
  inverse_passes(fft, z + ebb_pair_imag(fft->n), z, fft->n, fft->twiddles);
}

int64_t ebb_pair_length(int64_t n) {
  int64_t best = BASE;
  while (best < n) best *= 2;
  if (best > BASE && best / 8 * 5 >= n && best / 8 >= BASE) return best / 8 * 5;
  if (best > 2 * BASE && best / 4 * 3 >= n) return best / 4 * 3;
  return best;
}

size_t ebb_pair_table_bytes(int64_t n) {
  int64_t floats = 2 * BASE;
  for (int radix = radix_of(n); radix; n /= radix, radix = radix_of(n)) floats += pass_floats(n, radix);
  return sizeof(float) * (size_t)floats;
}

/* Vectors of w^(j k), w = e^(-2 pi i / length), for positions j .. j + 15. */
static void fill_vector(float *to, int64_t length, int64_t j, int64_t k) {
  for (int lane = 0; lane < LANES; lane++) {
    double angle = -6.283185307179586476925 * (double)((j + lane) * k % length) / (double)length;
    to[lane] = (float)cos(angle);
    to[LANES + lane] = (float)sin(angle);
  }
}

void ebb_pair_table_fill(const void *length, void *table) {
  int64_t n = *(const int64_t *)length;
  float *to = table;
  for (int radix = radix_of(n); radix; n /= radix, radix = radix_of(n))
    for (int64_t j = 0; j < n / radix; j += LANES)
      for (int k = 1; k < radix; k++, to += 2 * LANES) fill_vector(to, n, j, k);
  for (int q = 0; q < LANES; q++, to += 2 * LANES) fill_vector(to, BASE, 0, q);
}

void ebb_pair_multiply(int64_t n, float *restrict z, const float *restrict k) {
  float *restrict im = z + ebb_pair_imag(n);
  const float *restrict k_im = k + ebb_pair_imag(n);
  for (int64_t j = 0; j < n; j++) {
    float a = z[j], b = im[j];
    z[j] = a * k[j] - b * k_im[j];
    im[j] = a * k_im[j] + b * k[j];
  }
}

void ebb_pair_multiply_conj(int64_t n, float *restrict z, const float *restrict k) {
  float *restrict im = z + ebb_pair_imag(n);
  const float *restrict k_im = k + ebb_pair_imag(n);
  for (int64_t j = 0; j < n; j++) {
    float a = z[j], b = im[j];
    z[j] = a * k[j] + b * k_im[j];
    im[j] = b * k[j] - a * k_im[j];
  }
}

void ebb_pair_correlate(int64_t n, float *restrict sum, const float *restrict z, const float *restrict w) {
  float *restrict im = sum + ebb_pair_imag(n);
  const float *restrict z_im = z + ebb_pair_imag(n), *restrict w_im = w + ebb_pair_imag(n);
  for (int64_t j = 0; j < n; j++) {
    sum[j] += z[j] * w[j] + z_im[j] * w_im[j];
    im[j] += z_im[j] * w[j] - z[j] * w_im[j];
  }
}
