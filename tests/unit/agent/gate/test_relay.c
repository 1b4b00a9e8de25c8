#include "agent/gate/relay.h"

#include "tests/support/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BIG (1024 * 1024)

struct rig {
	char dir[64];
	char path[80];
	int listen_fd;
	int agent_fd;
	int in[2];  /* we write to [1] */
	int out[2]; /* we read from [0] */
	pthread_t thread;
	int result;
	struct err err;
};

static void *run(void *arg)
{
	struct rig *rig = arg;

	rig->result = relay_run(rig->path, rig->in[0], rig->out[1], &rig->err);
	close(rig->out[1]);
	return NULL;
}

static int setup(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct rig *rig = calloc(1, sizeof(*rig));

	make_dir(rig->dir);
	snprintf(rig->path, sizeof(rig->path), "%s/agent.sock", rig->dir);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", rig->path);
	rig->listen_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(rig->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(rig->listen_fd, 1), 0);
	assert_int_equal(pipe(rig->in), 0);
	assert_int_equal(pipe(rig->out), 0);
	assert_int_equal(pthread_create(&rig->thread, NULL, run, rig), 0);
	rig->agent_fd = accept(rig->listen_fd, NULL, NULL);
	assert_true(rig->agent_fd >= 0);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	close(rig->listen_fd);
	close(rig->in[0]);
	close(rig->out[0]);
	remove_dir(rig->dir);
	free(rig);
	return 0;
}

static void expect(int fd, const char *want)
{
	char got[64] = "";

	for (size_t len = 0; len < strlen(want); len++)
		assert_int_equal(read(fd, got + len, 1), 1);
	assert_string_equal(got, want);
}

static void end(struct rig *rig)
{
	char byte;

	close(rig->agent_fd);
	assert_int_equal(read(rig->out[0], &byte, 1), 0);
	pthread_join(rig->thread, NULL);
	assert_int_equal(rig->result, 0);
}

/* D7 */
static void bytes_go_both_ways_until_the_agent_ends(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(write(rig->in[1], "ask", 3), 3);
	expect(rig->agent_fd, "ask");
	assert_int_equal(write(rig->agent_fd, "answer", 6), 6);
	expect(rig->out[0], "answer");
	end(rig);
	close(rig->in[1]);
}

static void the_answer_to_the_last_words_still_arrives(void **state)
{
	struct rig *rig = *state;
	char byte;

	assert_int_equal(write(rig->in[1], "bye", 3), 3);
	close(rig->in[1]);
	expect(rig->agent_fd, "bye");
	assert_int_equal(read(rig->agent_fd, &byte, 1), 0);
	assert_int_equal(write(rig->agent_fd, "farewell", 8), 8);
	expect(rig->out[0], "farewell");
	end(rig);
}

static void *feed(void *arg)
{
	char *bytes = calloc(1, BIG);

	for (int i = 0; i < BIG; i++)
		bytes[i] = (char)(i * 31 + i / 251);
	for (size_t done = 0; done < BIG;) {
		ssize_t n = write(*(int *)arg, bytes + done, BIG - done);

		assert_true(n > 0);
		done += (size_t)n;
	}
	free(bytes);
	return NULL;
}

/* Neither side reads faster than it likes, and neither holds the other up. */
static void a_megabyte_each_way_at_once_arrives_whole(void **state)
{
	struct rig *rig = *state;
	pthread_t to, from;
	size_t got[2] = { 0 };
	char bytes[3000];

	assert_int_equal(pthread_create(&to, NULL, feed, &rig->in[1]), 0);
	assert_int_equal(pthread_create(&from, NULL, feed, &rig->agent_fd), 0);
	while (got[0] < BIG || got[1] < BIG) {
		for (int side = 0; side < 2; side++) {
			int fd = side ? rig->out[0] : rig->agent_fd;
			ssize_t n = got[side] < BIG ? read(fd, bytes, sizeof(bytes)) : 0;

			assert_true(n >= 0);
			for (ssize_t i = 0; i < n; i++, got[side]++) {
				if (bytes[i] != (char)((int)got[side] * 31 + (int)got[side] / 251))
					fail_msg("byte %zu of side %d", got[side], side);
			}
		}
	}
	pthread_join(to, NULL);
	pthread_join(from, NULL);
	end(rig);
	close(rig->in[1]);
}

static void a_reader_that_is_gone_ends_it(void **state)
{
	struct rig *rig = *state;

	signal(SIGPIPE, SIG_IGN);
	close(rig->out[0]);
	pthread_join(rig->thread, NULL);
	assert_int_equal(rig->result, 0);
	rig->out[0] = -1;
	close(rig->in[1]);
	close(rig->agent_fd);
}

static void an_agent_that_is_not_there_is_told(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(relay_run("/tmp/berth-no-such-agent.sock", 0, 1, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bytes_go_both_ways_until_the_agent_ends),
		TEST(the_answer_to_the_last_words_still_arrives),
		TEST(a_megabyte_each_way_at_once_arrives_whole),
		TEST(a_reader_that_is_gone_ends_it),
		cmocka_unit_test(an_agent_that_is_not_there_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
