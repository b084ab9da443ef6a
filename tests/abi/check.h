/* Helpers of the C tests: a check that says where and why it failed, and goes on. C99, no library but libc. */
#ifndef CHECK_H
#define CHECK_H

#include "wagiri.h"
#include "wagiri_plugin.h" /* nothing here needs it; a program may be host and plugin at once */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All fields 0; the two languages do not agree on a spelling that gives no warning. */
#ifdef __cplusplus
#define ZERO {}
#else
#define ZERO {0}
#endif

static int failures = 0;

#define CHECK(condition)                                                \
  do {                                                                  \
    if (!(condition)) {                                                 \
      failures++;                                                       \
      printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);    \
    }                                                                   \
  } while (0)

/* The call returns `status`; if that is an error, its text holds `word`. `err` is a variable of the caller. */
#define EXPECT(status, word, call) expect_(__LINE__, #call, status, word, (call), &err)

static void expect_(int line, const char *call, wagiri_status wanted, const char *word, wagiri_status got,
                    wagiri_error **err) {
  const char *text = wagiri_error_message(*err);
  int wrong = got != wanted || wagiri_error_status(*err) != got || (got == WAGIRI_OK) != (*err == NULL);
  if (wrong || strstr(text, word) == NULL) {
    failures++;
    printf("line %d: %s\n  status %d, wanted %d; text '%s', wanted '%s'\n", line, call, (int)got, (int)wanted, text,
           word);
  }
  wagiri_error_free(*err);
  *err = NULL;
}

static wagiri_view view(const float *data, uint64_t a, uint64_t b, uint64_t c) {
  wagiri_view v = ZERO;
  v.data = data;
  v.shape[0] = a;
  v.shape[1] = b;
  v.shape[2] = c;
  return v;
}

static wagiri_view_mut view_mut(float *data, uint64_t a, uint64_t b, uint64_t c) {
  wagiri_view_mut v = ZERO;
  v.data = data;
  v.shape[0] = a;
  v.shape[1] = b;
  v.shape[2] = c;
  return v;
}

static float *floats(uint64_t count) {
  float *data = (float *)calloc((size_t)count, sizeof(float));
  if (data == NULL) exit(2);
  return data;
}

/* `folder`/`name`, to be freed. */
static char *in(const char *folder, const char *name) {
  size_t size = strlen(folder) + strlen(name) + 2;
  char *path = (char *)malloc(size);
  if (path == NULL) exit(2);
  snprintf(path, size, "%s/%s", folder, name);
  return path;
}

static int finish(const char *name) {
  (void)view, (void)in; /* not every program needs them */
  printf("%s: %d failed\n", name, failures);
  return failures == 0 ? 0 : 1;
}

#endif
