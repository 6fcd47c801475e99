/* presil in C11: compile a model for a chip, run it there, read outputs and counters. Link with libpresil.
 *
 *   presil_program* program = NULL;
 *   presil_result* result = NULL;
 *   if (presil_compile("model.onnx", NULL, NULL, &program) || presil_run(program, NULL, 0, NULL, &result))
 *     fprintf(stderr, "%s\n", presil_error_message());
 *   else
 *     printf("%g s\n", presil_result_seconds(result));
 *   presil_result_free(result);
 *   presil_program_free(program);
 *
 * Errors. A function that can fail returns a presil_status; anything but PRESIL_OK leaves its outputs untouched, and
 * presil_error_message() says what was found and expected. The message belongs to the calling thread and lives until
 * its next failing call. What goes wrong inside the simulated chip (a fault, a deadlock, a race) is not an error: the
 * run succeeds and its outcome says what happened.
 *
 * Handles. A handle is created by one function and freed by one other; freeing NULL does nothing. Handles do not depend
 * on each other: a program can be freed while its results are in use, a chip after it was compiled for. Strings and
 * arrays that a handle returns live as long as the handle. Strings are UTF-8, paths are the system's.
 *
 * Threads. A handle does not change after it was created, so any number of threads may use it at once, except to free
 * it. Runs in one process do not know of each other, and no result depends on threads or on other runs.
 *
 * Options. Every options struct may be NULL: all defaults. Initialize one with its ..._DEFAULTS macro, then set
 * members; `size` lets a later library know what its caller has.
 */
#ifndef PRESIL_H
#define PRESIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define PRESIL_API __attribute__((visibility("default")))
#else
#define PRESIL_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum presil_status {
  PRESIL_OK = 0,
  PRESIL_BAD_INPUT = 1,   /* a NULL handle, a malformed or inconsistent file, option or input */
  PRESIL_UNSUPPORTED = 2, /* well-formed, but nothing here can do it */
  PRESIL_IO = 3,          /* a file cannot be read or written */
  PRESIL_CANCELLED = 4,   /* presil_cancel_request was called */
  PRESIL_NO_MEMORY = 5,   /* of the host */
  PRESIL_INTERNAL = 6     /* an error in presil itself; please report it */
} presil_status;

/* Of the last call of this thread that did not return PRESIL_OK; "" before the first. */
PRESIL_API const char* presil_error_message(void);

/* "0.1.0" */
PRESIL_API const char* presil_version(void);

/* --- Stopping early -------------------------------------------------------------------------------------------- */

typedef struct presil_cancel presil_cancel;

/* NULL when the host has no memory. */
PRESIL_API presil_cancel* presil_cancel_new(void);
/* From any thread or a signal handler. Every call that was given the handle returns PRESIL_CANCELLED within moments,
 * now or later, and leaves no file half-written. There is no way back: make a new one for the next call. */
PRESIL_API void presil_cancel_request(presil_cancel* cancel);
/* Only after the calls that were given it have returned. */
PRESIL_API void presil_cancel_free(presil_cancel* cancel);

/* --- Chips ----------------------------------------------------------------------------------------------------- */

typedef struct presil_chip presil_chip;

/* A bundled chip by name ("trn2") or a chip file by path ("mine.toml"). */
PRESIL_API presil_status presil_chip_load(const char* name_or_file, presil_chip** chip);
/* The text of a chip file; `where` stands for its path in messages and may be NULL. */
PRESIL_API presil_status presil_chip_parse(const char* toml, const char* where, presil_chip** chip);
PRESIL_API void presil_chip_free(presil_chip* chip);

PRESIL_API const char* presil_chip_name(const presil_chip* chip);
/* 16 hexadecimal digits: equal for chips with equal numbers. */
PRESIL_API const char* presil_chip_hash(const presil_chip* chip);
/* Every parameter, as a chip file. */
PRESIL_API const char* presil_chip_toml(const presil_chip* chip);

/* Names of the bundled chips, sorted; NULL from `index` = their number on. */
PRESIL_API const char* presil_bundled_chip(size_t index);

/* --- Tensors --------------------------------------------------------------------------------------------------- */

typedef enum presil_dtype {
  PRESIL_FP32 = 0,
  PRESIL_TF32 = 1, /* stored as fp32 */
  PRESIL_BF16 = 2,
  PRESIL_FP16 = 3,
  PRESIL_FP8_E4M3 = 4, /* IEEE-like with infinities, largest 240 */
  PRESIL_FP8_E5M2 = 5,
  PRESIL_FP8_E4M3FN = 6,     /* no infinities, largest 448 */
  PRESIL_FP8_E3M4 = 7,       /* IEEE-like with infinities, largest 15.5 */
  PRESIL_FP8_E8M0 = 8,       /* a scale: 2^(x - 127) */
  PRESIL_FP8_E4M3FN_X4 = 9,  /* four numbers in 32 bits, the first in the lowest */
  PRESIL_FP8_E5M2_X4 = 10,   /* the same */
  PRESIL_FP4_E2M1FN_X4 = 11, /* four numbers in 16 bits */
  PRESIL_INT8 = 12,
  PRESIL_UINT8 = 13,
  PRESIL_INT16 = 14,
  PRESIL_UINT16 = 15,
  PRESIL_INT32 = 16,
  PRESIL_UINT32 = 17,
  PRESIL_INT64 = 18,
  PRESIL_BOOL = 19 /* a byte, 0 or 1 */
} presil_dtype;

/* "bf16"; NULL for what is none. */
PRESIL_API const char* presil_dtype_name(presil_dtype dtype);
/* Of one element; 0 for what is none. */
PRESIL_API size_t presil_dtype_bytes(presil_dtype dtype);

/* A tensor by name, row-major without gaps. */
typedef struct presil_tensor {
  const char* name;
  presil_dtype dtype;
  size_t rank;
  const int64_t* shape; /* `rank` sizes; may be NULL when rank is 0 */
  const void* data;     /* `bytes` bytes; NULL where only the type is meant */
  size_t bytes;
} presil_tensor;

/* --- Programs -------------------------------------------------------------------------------------------------- */

typedef struct presil_program presil_program;

typedef struct presil_dim {
  const char* name;
  int64_t size;
} presil_dim;

typedef struct presil_shape {
  const char* input;
  size_t rank;
  const int64_t* sizes;
} presil_shape;

typedef struct presil_compile_options {
  size_t size;            /* sizeof(presil_compile_options) */
  const char* precision;  /* "auto": the model's own; "fp32", "tf32", "bf16", "fp16" */
  const presil_dim* dims; /* sizes of dynamic dimensions, by name */
  size_t dim_count;
  const presil_shape* shapes; /* whole shapes of inputs */
  size_t shape_count;
  bool double_as_fp32; /* compute double tensors in fp32; otherwise they are refused */
  bool no_data;        /* leave the weights' values out: quicker, and the program can be timed only */
  const presil_cancel* cancel;
  uint32_t cores; /* of the chip, at most, which share the batch of the inputs evenly; 0: all */
} presil_compile_options;
#define PRESIL_COMPILE_OPTIONS_DEFAULTS \
  { sizeof(presil_compile_options), "auto", NULL, 0, NULL, 0, false, false, NULL, 0 }

/* Compiles an ONNX file for cores of `chip`; NULL: trn2. */
PRESIL_API presil_status presil_compile(const char* model, const presil_chip* chip,
                                        const presil_compile_options* options, presil_program** program);

/* Reads a compiled program (.presil). `chip` NULL: the bundled chip that it was compiled for. Another chip than that is
 * refused unless `retime`: then the same instructions get the times of this chip. */
PRESIL_API presil_status presil_program_load(const char* path, const presil_chip* chip, bool retime,
                                             presil_program** program);
/* Writes FILE.presil, whole or not at all. */
PRESIL_API presil_status presil_program_save(const presil_program* program, const char* path);
PRESIL_API void presil_program_free(presil_program* program);

/* Types of inputs and outputs, in the model's order; NULL from `index` = their number on. `data` is NULL. */
PRESIL_API const presil_tensor* presil_program_input(const presil_program* program, size_t index);
PRESIL_API const presil_tensor* presil_program_output(const presil_program* program, size_t index);

/* --- Runs ------------------------------------------------------------------------------------------------------ */

typedef struct presil_result presil_result;

typedef struct presil_run_options {
  size_t size;      /* sizeof(presil_run_options) */
  bool no_data;     /* time only: no tensor values, no outputs */
  bool no_check;    /* with data, do not look for races and never-written reads */
  uint64_t seed;    /* of inputs that are not given */
  uint32_t threads; /* of the host, 0: all; no result depends on it */
  const presil_cancel* cancel;
} presil_run_options;
#define PRESIL_RUN_OPTIONS_DEFAULTS \
  { sizeof(presil_run_options), false, false, 0, 0, NULL }

/* Runs on the simulated cores. `inputs` are given by name and copied; those that are not given are drawn from the seed
 * (floats normal, integers 0 to 9, booleans fair). int64 is taken for int32 if the values fit. NaN and infinities are
 * values like others; every NaN that arithmetic gives is the canonical one (docs/model.md). */
PRESIL_API presil_status presil_run(const presil_program* program, const presil_tensor* inputs, size_t input_count,
                                    const presil_run_options* options, presil_result** result);
PRESIL_API void presil_result_free(presil_result* result);

/* Whether the simulated program got through; otherwise outputs and times mean little. */
PRESIL_API bool presil_result_ok(const presil_result* result);
/* "done", or what happened: "deadlock: vector instruction 12 (...): ...". */
PRESIL_API const char* presil_result_outcome(const presil_result* result);

/* Simulated time, from the first instruction to the last byte of output in HBM. */
PRESIL_API double presil_result_seconds(const presil_result* result);
/* The same in cycles of a clock: "tensor", "vector", ...; 0 for a clock that does not exist. */
PRESIL_API double presil_result_cycles(const presil_result* result, const char* clock);
PRESIL_API uint64_t presil_result_instructions(const presil_result* result);
/* Useful multiply-accumulates. */
PRESIL_API uint64_t presil_result_macs(const presil_result* result);
/* Useful macs over seconds x the bf16 peak. */
PRESIL_API double presil_result_mfu(const presil_result* result);
/* Everything: one JSON object, as `presil run --json` prints it (docs/schema/run.json). */
PRESIL_API const char* presil_result_json(const presil_result* result);

/* Outputs in the model's order; NULL from `index` = their number on, and always without data. */
PRESIL_API const presil_tensor* presil_result_output(const presil_result* result, size_t index);

/* The report (.html or .md) and the trace (.pftrace for the Perfetto viewer, .trace for `presil report`), whole or not
 * at all. The run is repeated for them, in time only. PRESIL_UNSUPPORTED when it stopped because of its data. */
PRESIL_API presil_status presil_result_write_report(const presil_result* result, const char* path);
PRESIL_API presil_status presil_result_write_trace(const presil_result* result, const char* path);

#ifdef __cplusplus
}
#endif
#endif
