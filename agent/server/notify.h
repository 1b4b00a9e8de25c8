#pragma once
/*
 * Words to the service manager, as sd_notify(3) sends them, but never waiting: sd_notify() blocks
 * while PID 1 does not read, and an agent whose systemd hangs must still say so.
 */

/* One datagram to $NOTIFY_SOCKET, "READY=1" say. Nothing happens when there is no such socket; the
 * word is lost when nobody takes it at once. */
void notify(const char *words);
