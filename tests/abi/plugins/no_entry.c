/* A shared library that is no plugin; with UNRESOLVED, one that needs a function that nobody has. */
#ifdef UNRESOLVED
int nowhere_to_be_found(void);
#else
static int nowhere_to_be_found(void) { return 42; }
#endif
int (*const answer)(void) = nowhere_to_be_found;
