/* What reader and writer of safetensors files must agree on. */
#ifndef EBB_SAFETENSORS_LIMITS_H
#define EBB_SAFETENSORS_LIMITS_H

#define SAFETENSORS_METADATA "__metadata__"

/* The limit of the format description. */
enum { SAFETENSORS_MAX_HEADER = 100000000 };

#endif
