/*
 * wagiri_plugin.h - interface 1.1 between wagiri and a plugin that adds stages. This file is the contract; the Rust
 * crate wagiri-plugin mirrors it. C99 and C++. Licence: MIT OR Apache-2.0.
 *
 * A plugin is a shared library that exports one data symbol:
 *
 *     WAGIRI_PLUGIN_EXPORT const wagiri_plugin_entry WAGIRI_PLUGIN_ENTRY = { ... };
 *
 * Versions  The major number must be the same on both sides. Within a major number fields are only appended: read no
 *           field of a struct beyond its struct_size, and set struct_size of your own structs with sizeof. What came
 *           after 1.0 is marked.
 * Text      UTF-8, ends with a zero byte. Text and tables reached from the entry are constant until the process ends.
 * Memory    The host allocates input, output and scratch. Neither side frees memory of the other. Error text is written
 *           into the host's buffer `msg` of `cap` bytes (zero byte included); one sentence, please.
 * Threads   [any] any thread, several at once. [worker] one thread at a time for each worker.
 * Errors    No C++ exception and no longjmp may leave a function of the plugin.
 * Unloading never happens before the process ends.
 */
#ifndef WAGIRI_PLUGIN_H
#define WAGIRI_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define WAGIRI_PLUGIN_LINKAGE extern "C"
extern "C" {
#else
#define WAGIRI_PLUGIN_LINKAGE
#endif

#ifdef _WIN32
#define WAGIRI_PLUGIN_EXPORT WAGIRI_PLUGIN_LINKAGE __declspec(dllexport)
#else
#define WAGIRI_PLUGIN_EXPORT WAGIRI_PLUGIN_LINKAGE __attribute__((visibility("default")))
#endif

/* (major << 16) | minor */
#define WAGIRI_PLUGIN_ABI 0x00010001u

/* Returned by functions. */
#define WAGIRI_PLUGIN_OK 0
#define WAGIRI_PLUGIN_FAILED 1    /* the reason is in msg */
#define WAGIRI_PLUGIN_CANCELLED 2 /* stopped because host->cancelled() said so */

/* What the numbers of a slab mean; always float, in C order. */
#define WAGIRI_PLUGIN_COUNTS 0   /* [row, view, col], detector counts */
#define WAGIRI_PLUGIN_SINOGRAM 1 /* [row, view, col], absorbance ln(I0/I), no unit */
#define WAGIRI_PLUGIN_VOLUME 2   /* [z, y, x], linear attenuation, 1/cm */

/* How the host calls `process`. */
#define WAGIRI_PLUGIN_PARALLEL 0 /* once for each output row, on many threads, with one worker per thread */
#define WAGIRI_PLUGIN_SERIAL 1   /* once for a whole slab; the stage may use host->parallel_for */

/* Kinds of parameters and values. */
#define WAGIRI_PLUGIN_AUTO 0   /* values only: the user said `auto` */
#define WAGIRI_PLUGIN_INT 1    /* whole number */
#define WAGIRI_PLUGIN_FLOAT 2  /* number */
#define WAGIRI_PLUGIN_BOOL 3   /* 0 or 1 */
#define WAGIRI_PLUGIN_CHOICE 4 /* one of `choices` */
#define WAGIRI_PLUGIN_TEXT 5   /* free text */

/* Levels of host->log. */
#define WAGIRI_PLUGIN_LOG_ERROR 1
#define WAGIRI_PLUGIN_LOG_WARN 2
#define WAGIRI_PLUGIN_LOG_INFO 3
#define WAGIRI_PLUGIN_LOG_DEBUG 4

/* Describes one parameter. The host checks and completes what the user wrote before the plugin sees it. */
typedef struct wagiri_param_desc {
  uint32_t struct_size;
  int32_t kind;               /* INT ... TEXT */
  const char *name;           /* with its unit: "radius_px"; a-z, 0-9 and _ */
  const char *unit;           /* "px", "um", "deg", ... or "" */
  const char *help;           /* one sentence */
  const char *default_text;   /* as a user would write it: "1.0", "true", "auto" */
  double min, max;            /* INT, FLOAT: accepted range, both ends included; -INFINITY, INFINITY where open */
  const char *const *choices; /* CHOICE: the words; else NULL */
  uint32_t choice_count;
  int32_t allow_auto; /* 1: the word `auto` is accepted too */
} wagiri_param_desc;

/* Value of one parameter: checked, defaulted. Valid until `create` returns. */
typedef struct wagiri_value {
  int32_t kind;     /* as declared, or AUTO */
  int32_t reserved; /* 0 */
  int64_t integer;  /* INT; BOOL: 0 or 1; CHOICE: index in `choices` */
  double number;    /* INT, FLOAT */
  const char *text; /* CHOICE, TEXT; else NULL */
} wagiri_value;

/* The scan that the stage is made for. Valid until `create` returns. */
typedef struct wagiri_setup {
  uint32_t struct_size;
  uint32_t reserved; /* 0 */
  uint64_t views, rows, cols, flats;
  const double *angles_rad; /* one per view; positive turns the object counter-clockwise on screen */
  double center_px;         /* rotation axis at detector row 0; pixel centres are at integers */
  double center_px_per_row; /* tilt: axis at row r = center_px + r * center_px_per_row */
  double pixel_um;          /* detector pixel at the sample */
} wagiri_setup;

/* Shape of a slab: rows x dims[0] x dims[1]. */
typedef struct wagiri_slab_shape {
  uint32_t struct_size;
  int32_t domain;
  uint64_t rows; /* halo included */
  uint64_t dims[2];
} wagiri_slab_shape;

/* What a stage makes of a slab. The host fills it before `plan`: no halo, the dims of the input, no scratch, cost 1. */
typedef struct wagiri_stage_plan {
  uint32_t struct_size;
  uint32_t halo_below; /* extra input rows with smaller numbers for each output row; the same for every slab height */
  uint32_t halo_above; /* extra input rows with larger numbers */
  uint32_t reserved;   /* 0 */
  uint64_t dims[2];    /* inner dims of the output; its rows are the input's without halo */
  uint64_t scratch_bytes; /* most memory that one call of `process` has in use, from host->scratch or of its own */
  double cost_per_row;    /* work per row relative to other stages (1: a few operations per pixel); for estimates */
} wagiri_stage_plan;

/* Rows that `process` reads. */
typedef struct wagiri_slab {
  uint32_t struct_size;
  int32_t domain;
  uint64_t rows; /* of `data`, halo included */
  uint64_t dims[2];
  int64_t first_row; /* detector row of the first output row, which is row halo_below of `data`; outside the detector
                        where a later stage needs rows around its own */
  uint32_t halo_below, halo_above; /* as planned; at the ends of the detector the last row is repeated */
  const float *data;               /* finite, rows * dims[0] * dims[1] */
} wagiri_slab;

/* Rows that `process` writes. Every pixel must become a finite number. */
typedef struct wagiri_slab_out {
  uint32_t struct_size;
  int32_t domain;
  uint64_t rows; /* in->rows without halo */
  uint64_t dims[2];
  float *data; /* never overlaps the input; holds NaN where nothing was written, so that the host notices */
} wagiri_slab_out;

/* What the host does for a plugin. Valid until the function returns that it was given to. */
typedef struct wagiri_host {
  uint32_t struct_size;
  uint32_t abi;
  void *ctx; /* the host's own */
  /* [any] Adds a line to wagiri's log, under the stage's id. */
  void (*log)(const struct wagiri_host *host, int32_t level, const char *message);
  /* [any] 1 once the run is to stop; then return CANCELLED soon. */
  int32_t (*cancelled)(const struct wagiri_host *host);
  /* [any] Zeroed memory, aligned to 64 bytes, until `process` returns. NULL beyond the planned scratch_bytes, if
     there is no memory, and in `create`. */
  void *(*scratch)(const struct wagiri_host *host, uint64_t bytes);
  /* [any] Calls f(arg, 0) ... f(arg, n - 1) and waits: on all compute threads at once in a SERIAL stage, one after
     the other in a PARALLEL stage (other rows keep the threads busy) and in `create`. Skips the rest and returns
     CANCELLED once the run is to stop, else OK. f may call every function of the host. */
  int32_t (*parallel_for)(const struct wagiri_host *host, uint32_t n, void (*f)(void *arg, uint32_t index), void *arg);
} wagiri_host;

/* One stage. `self` is what `create` returned.
   Order: create, plan, worker_new, survey ..., survey_done, process ..., worker_free, destroy. */
typedef struct wagiri_stage_desc {
  uint32_t struct_size;
  int32_t input, output;  /* COUNTS, SINOGRAM, VOLUME; COUNTS go with COUNTS only */
  int32_t threading;      /* PARALLEL or SERIAL */
  const char *id;         /* "family.method"; a-z, 0-9, _ and - */
  const char *summary;    /* one line */
  const wagiri_param_desc *const *params; /* NULL if there are none */
  uint32_t param_count;
  uint32_t reserved; /* 0 */
  /* [any] Makes the stage; `values` in the order of `params`. NULL: failed, the reason is in msg. */
  void *(*create)(const wagiri_host *host, const wagiri_setup *setup, const wagiri_value *values, char *msg, size_t cap);
  /* [any] May be NULL: the plan stays as the host filled it. COUNTS must keep their dims. */
  int32_t (*plan)(const void *self, const wagiri_slab_shape *in, wagiri_stage_plan *plan, char *msg, size_t cap);
  /* [any] Mutable state of one thread. NULL: failed. The member may be NULL: then `self`, shared by all threads, takes
     the place of the worker. */
  void *(*worker_new)(const void *self, const wagiri_stage_plan *plan, char *msg, size_t cap);
  /* [worker] Reads `in`, fills `out`. */
  int32_t (*process)(void *worker, const wagiri_host *host, const wagiri_slab *in, const wagiri_slab_out *out, char *msg,
                     size_t cap);
  /* [any] May be NULL. */
  void (*worker_free)(void *worker);
  /* [any] After all workers are freed. May be NULL. */
  void (*destroy)(void *self);

  /* Since 1.1; both NULL unless the stage must see all rows before the first can leave. SERIAL stages with worker_new
     only. The host then goes through the rows once more, before any `process` of the same worker. A host of interface
     1.0 does not know these: refuse in `create` if host->abi < 0x00010001. */
  /* [worker] A slab without halo. Slabs come in order, each row once: all rows that `process` will be given, but for
     those before the first and behind the last row that there is, for which these stand. scratch as in `process`. What is
     found may not depend on the height of the slabs. */
  int32_t (*survey)(void *worker, const wagiri_host *host, const wagiri_slab *in, char *msg, size_t cap);
  /* [worker] All rows have been surveyed. */
  int32_t (*survey_done)(void *worker, const wagiri_host *host, char *msg, size_t cap);
} wagiri_stage_desc;

/* The exported symbol WAGIRI_PLUGIN_ENTRY. The host reads it before it calls anything. */
typedef struct wagiri_plugin_entry {
  uint32_t struct_size;
  uint32_t abi;        /* WAGIRI_PLUGIN_ABI */
  const char *id;      /* "org.example.filters" */
  const char *version; /* "1.2.0" */
  const char *vendor;  /* who to ask */
  const wagiri_stage_desc *const *stages;
  uint32_t stage_count;
  uint32_t reserved; /* 0 */
} wagiri_plugin_entry;

#ifdef __cplusplus
}
#endif

#endif
