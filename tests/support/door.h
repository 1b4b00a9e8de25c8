#pragma once
/*
 * A lying door: stands where an agent's socket was, leads to it, and changes what clients send. In a thread of
 * its own.
 */
struct door;

/* Moves the socket at 'path' aside and listens in its place. Of each 'word' that passes, the last byte becomes
 * another; 'word' begins with a byte that it does not have again, and is borrowed. What fails here fails the
 * test. */
struct door *door_open(const char *path, const char *word);
/* How many were changed. */
unsigned door_changes(const struct door *door);
/* The socket is back in its place. */
void door_close(struct door *door);
