/* UTF-8, checked: overlong forms, surrogates and values above 10FFFF are none. */
#ifndef EBB_HOST_DATA_UTF8_H
#define EBB_HOST_DATA_UTF8_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Code points are 0 .. EBB_CODE_POINTS - 1. */
enum { EBB_CODE_POINTS = 0x110000 };

/* Bytes of the code point at text[0 .. left), at least one of which is there; 0 if it is none. */
int ebb_utf8_decode(const char *text, size_t left, uint32_t *code);

/* Bytes at the beginning of `text` that are UTF-8: `bytes` if all are. */
size_t ebb_utf8_valid(const char *text, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
