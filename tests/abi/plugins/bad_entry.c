/* A plugin in which each part can be replaced on the compiler's command line (-DNAME=value); as it stands it is good. */
#include "wagiri_plugin.h"

#include <math.h>

#ifndef ABI
#define ABI WAGIRI_PLUGIN_ABI
#endif
#ifndef ENTRY_SIZE
#define ENTRY_SIZE sizeof(wagiri_plugin_entry)
#endif
#ifndef STAGES
#define STAGES stages
#endif
#ifndef STAGE_COUNT
#define STAGE_COUNT 1
#endif
#ifndef STAGE
#define STAGE &stage
#endif
#ifndef STAGE_SIZE
#define STAGE_SIZE sizeof(wagiri_stage_desc)
#endif
#ifndef ID
#define ID "test.good"
#endif
#ifndef SUMMARY
#define SUMMARY "Does nothing"
#endif
#ifndef INPUT
#define INPUT WAGIRI_PLUGIN_VOLUME
#endif
#ifdef SURVEYS_SERIAL
#define SURVEYS
#define THREADING WAGIRI_PLUGIN_SERIAL
#endif
#ifdef SURVEYS
#define SURVEY survey
#define DONE done
#endif
#ifndef SURVEY
#define SURVEY NULL
#endif
#ifndef DONE
#define DONE NULL
#endif
#ifndef THREADING
#define THREADING WAGIRI_PLUGIN_PARALLEL
#endif
#ifndef PARAMS
#define PARAMS params
#endif
#ifndef PARAM_COUNT
#define PARAM_COUNT 2
#endif
#ifndef PARAM_SIZE
#define PARAM_SIZE sizeof(wagiri_param_desc)
#endif
#ifndef NAME
#define NAME "size_px"
#endif
#ifndef KIND
#define KIND WAGIRI_PLUGIN_INT
#endif
#ifndef DEFAULT
#define DEFAULT "3"
#endif
#ifndef MIN
#define MIN 0
#endif
#ifndef WORD
#define WORD "good"
#endif
#ifndef CREATE
#define CREATE create
#endif
#ifndef FREE
#define FREE NULL
#endif

static void *create(const wagiri_host *host, const wagiri_setup *setup, const wagiri_value *values, char *msg,
                    size_t cap) {
  (void)host, (void)setup, (void)values, (void)msg, (void)cap;
  return (void *)&create;
}
static int32_t process(void *worker, const wagiri_host *host, const wagiri_slab *in, const wagiri_slab_out *out,
                       char *msg, size_t cap) {
  (void)worker, (void)host, (void)in, (void)out, (void)msg, (void)cap;
  return WAGIRI_PLUGIN_FAILED;
}
void release(void *worker) { (void)worker; }
int32_t survey(void *worker, const wagiri_host *host, const wagiri_slab *in, char *msg, size_t cap) {
  (void)worker, (void)host, (void)in, (void)msg, (void)cap;
  return WAGIRI_PLUGIN_OK;
}
int32_t done(void *worker, const wagiri_host *host, char *msg, size_t cap) {
  (void)worker, (void)host, (void)msg, (void)cap;
  return WAGIRI_PLUGIN_OK;
}

static const char *const words[] = {"fast", WORD};
static const wagiri_param_desc size = {
    PARAM_SIZE, KIND, NAME, "px", "A number", DEFAULT, MIN, 9.0, NULL, 0, 0,
};
static const wagiri_param_desc mode = {
    sizeof mode, WAGIRI_PLUGIN_CHOICE, "mode", "", "A word", "fast", -INFINITY, INFINITY, words, 2, 0,
};
const wagiri_param_desc *const params[100] = {&size, &mode};
static const wagiri_stage_desc stage = {
    STAGE_SIZE, INPUT, WAGIRI_PLUGIN_VOLUME, THREADING, ID, SUMMARY, PARAMS, PARAM_COUNT,
    0, CREATE, NULL, NULL, process, FREE, NULL, SURVEY, DONE,
};
const wagiri_stage_desc *const stages[] = {STAGE};

WAGIRI_PLUGIN_EXPORT const wagiri_plugin_entry WAGIRI_PLUGIN_ENTRY = {
    ENTRY_SIZE, ABI, "org.example.bad", "1.0", "The wagiri authors", STAGES, STAGE_COUNT, 0,
};
