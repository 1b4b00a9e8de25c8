#pragma once
/* TCP connections whose other end may fall silent: a cable that is pulled says nothing. */

/* A connection whose other end's kernel has acknowledged nothing for 'silence_ms' (at least 4000) breaks off with
 * ETIMEDOUT: one with bytes on their way as well as an idle one, which is probed. Without it that takes a quarter
 * of an hour, or for ever. Best effort: failures are ignored. */
void tcp_limit_silence(int fd, int silence_ms);
