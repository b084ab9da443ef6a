/* A stage that returns what it must not: NaN, infinity, unwritten pixels, codes without reason. */
#include "wagiri_plugin.h"

#include <math.h>
#include <string.h>

static const char *const words[] = {"none", "nan", "infinity", "unwritten", "silent", "long", "cancelled", "strange"};

static void *create(const wagiri_host *host, const wagiri_setup *setup, const wagiri_value *values, char *msg,
                    size_t cap) {
  (void)setup, (void)msg, (void)cap;
  host->log(host, WAGIRI_PLUGIN_LOG_INFO, "made");
  if (host->scratch(host, 1) != NULL) return NULL; /* nothing to scratch on outside process */
  return (void *)words[values[0].integer];
}

static int32_t process(void *worker, const wagiri_host *host, const wagiri_slab *in, const wagiri_slab_out *out,
                       char *msg, size_t cap) {
  const char *way = worker;
  const uint64_t n = out->rows * out->dims[0] * out->dims[1];
  (void)host;
  if (strcmp(way, "unwritten") == 0 && in->first_row == 21) return WAGIRI_PLUGIN_OK;
  memcpy(out->data, in->data, (size_t)n * sizeof(float));
  if (strcmp(way, "silent") == 0) return WAGIRI_PLUGIN_FAILED;
  if (strcmp(way, "cancelled") == 0) return WAGIRI_PLUGIN_CANCELLED;
  if (strcmp(way, "strange") == 0) return 77;
  if (strcmp(way, "long") == 0) { /* no zero byte, and not UTF-8 either */
    memset(msg, 0xe3, cap);
    return WAGIRI_PLUGIN_FAILED;
  }
  if (in->first_row == 21) {
    float *pixel = &out->data[1 * out->dims[1] + 2];
    if (strcmp(way, "nan") == 0) *pixel = NAN;
    if (strcmp(way, "infinity") == 0) *pixel = INFINITY;
  }
  return WAGIRI_PLUGIN_OK;
}

static const wagiri_param_desc way_param = {
    .struct_size = sizeof way_param,
    .kind = WAGIRI_PLUGIN_CHOICE,
    .name = "way",
    .unit = "",
    .help = "What goes wrong",
    .default_text = "none",
    .choices = words,
    .choice_count = sizeof words / sizeof *words,
};
static const wagiri_param_desc *const params[] = {&way_param};
static const wagiri_stage_desc stage = {
    .struct_size = sizeof stage,
    .input = WAGIRI_PLUGIN_VOLUME,
    .output = WAGIRI_PLUGIN_VOLUME,
    .threading = WAGIRI_PLUGIN_PARALLEL,
    .id = "test.pixels",
    .summary = "Returns bad pixels",
    .params = params,
    .param_count = 1,
    .create = create,
    .process = process,
};
static const wagiri_stage_desc *const stages[] = {&stage};

WAGIRI_PLUGIN_EXPORT const wagiri_plugin_entry WAGIRI_PLUGIN_ENTRY = {
    .struct_size = sizeof(wagiri_plugin_entry),
    .abi = WAGIRI_PLUGIN_ABI,
    .id = "org.example.pixels",
    .version = "1.0",
    .vendor = "The wagiri authors",
    .stages = stages,
    .stage_count = 1,
};
