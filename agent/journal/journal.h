#pragma once
/*
 * `berthd journal`: the node's journal as lines of proto/node/v1/logs.proto on standard output. A program
 * of its own beside the agent, because reading journal files waits for the disk and maps much of them.
 * Only the agent runs it; its options are no promise to anybody else.
 *
 *   --unit=U (repeatable, full names), --follow, --tail=N (-1: all), --since=NANOS (0: no bound),
 *   --directory=D (in place of the machine's journal; for tests)
 */

/* Its whole; 'argv' from the word "journal" on. The exit code: 0, 2 for wrong options, else 1. */
int journal_main(int argc, char **argv);
