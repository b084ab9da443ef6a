/* A stage that is right as it stands, and wrong in one way with -DWAY. It smooths along z, by the mean of three rows, with a
   factor and a survey of the largest value. */
#include "wagiri_plugin.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct work {
  int64_t size;
  float largest;
  int calls;
} work;

static int calls_ever;

static void *create(const wagiri_host *host, const wagiri_setup *setup, const wagiri_value *values, char *msg,
                    size_t cap) {
  int64_t *size = malloc(sizeof *size);
  (void)host, (void)setup, (void)msg, (void)cap;
  *size = values[0].integer;
#ifdef REFUSES
  snprintf(msg, cap, "no, not\nthese");
  free(size);
  return NULL;
#endif
  return size;
}
static int32_t plan(const void *self, const wagiri_slab_shape *in, wagiri_stage_plan *out, char *msg, size_t cap) {
  (void)self, (void)in, (void)msg, (void)cap;
  out->halo_below = out->halo_above = 1;
#ifdef GROWS
  out->halo_below = in->rows > 6 ? 2 : 1;
#endif
  return WAGIRI_PLUGIN_OK;
}
static void *worker_new(const void *self, const wagiri_stage_plan *plan, char *msg, size_t cap) {
  work *w = calloc(1, sizeof *w);
  (void)plan, (void)msg, (void)cap;
  w->size = *(const int64_t *)self;
  return w;
}
static int32_t survey(void *worker, const wagiri_host *host, const wagiri_slab *in, char *msg, size_t cap) {
  work *w = worker;
  (void)host, (void)msg, (void)cap;
  for (uint64_t i = 0; i < in->rows * in->dims[0] * in->dims[1]; i++)
    if (in->data[i] > w->largest) w->largest = in->data[i];
#ifdef SEES_THE_SURVEY
  w->largest += 1;
#endif
  return WAGIRI_PLUGIN_OK;
}
static int32_t survey_done(void *worker, const wagiri_host *host, char *msg, size_t cap) {
  (void)worker, (void)host, (void)msg, (void)cap;
  return WAGIRI_PLUGIN_OK;
}
static int32_t process(void *worker, const wagiri_host *host, const wagiri_slab *in, const wagiri_slab_out *out,
                       char *msg, size_t cap) {
  work *w = worker;
  const uint64_t len = out->dims[0] * out->dims[1], n = out->rows * len;
  float factor = (float)w->size * (1 + w->largest);
  (void)host, (void)msg, (void)cap;
#ifdef NO_REASON
  return WAGIRI_PLUGIN_FAILED;
#endif
#ifdef NO_END
  memset(msg, 'x', cap);
  return WAGIRI_PLUGIN_FAILED;
#endif
#ifdef SEES_THE_SLAB
  factor *= (float)out->rows;
#endif
#ifdef REMEMBERS
  factor += (float)calls_ever++;
#endif
#ifdef DIVIDES
  factor /= w->largest;
#endif
#ifdef BREAKS_AT_THE_END
  if (w->size == 9) factor = NAN;
#endif
  for (uint64_t i = 0; i < n; i++) out->data[i] = factor * (in->data[i] + in->data[i + len] + in->data[i + 2 * len]);
#ifdef FORGETS
  out->data[n - 1] = NAN;
#endif
  return WAGIRI_PLUGIN_OK;
}

static const wagiri_param_desc size_param = {
    .struct_size = sizeof size_param,
    .kind = WAGIRI_PLUGIN_INT,
    .name = "size_px",
    .unit = "px",
    .help = "A factor",
    .default_text = "3",
    .min = 1,
    .max = 9,
};
static const wagiri_param_desc *const params[] = {&size_param};
static const wagiri_stage_desc stage = {
    .struct_size = sizeof stage,
    .input = WAGIRI_PLUGIN_VOLUME,
    .output = WAGIRI_PLUGIN_VOLUME,
    .threading = WAGIRI_PLUGIN_SERIAL,
    .id = "test.wrong",
    .summary = "Is wrong",
    .params = params,
    .param_count = 1,
    .create = create,
    .plan = plan,
    .worker_new = worker_new,
    .process = process,
    .worker_free = free,
    .destroy = free,
    .survey = survey,
    .survey_done = survey_done,
};
static const wagiri_stage_desc *const stages[] = {&stage};

WAGIRI_PLUGIN_EXPORT const wagiri_plugin_entry WAGIRI_PLUGIN_ENTRY = {
    .struct_size = sizeof(wagiri_plugin_entry),
    .abi = WAGIRI_PLUGIN_ABI,
    .id = "org.example.wrong",
    .version = "1.0",
    .vendor = "The wagiri authors",
    .stages = stages,
    .stage_count = 1,
};
