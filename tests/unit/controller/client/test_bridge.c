/* The bridge between nng and a way of the test's own, which leads to an nng REP socket here. */
#include "controller/client/bridge.h"
#include "controller/client/bridge_impl.h"
#include "controller/client/channel.h"
#include "shared/base/deadline.h"
#include "shared/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BIG ((size_t)1000 * 1000)

/* The way under the test's control. */
struct way {
	char target[64];  /* nng's own socket */
	atomic_int fail;  /* so many more times */
	bool refuse;      /* for good */
	bool hang;        /* until stopped */
	bool mute;        /* a pipe that ends without a word */
	atomic_int opens; /* how often it was asked */
	atomic_int open;  /* pipes now */
	atomic_int released;
};

struct rig {
	char dir[32];
	struct way way;
	struct bridge *bridge;
	nng_socket rep;
	pthread_t echo;
};

static int way_connect(struct way *way, struct bridge_pipe *ret_pipe, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", way->target);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return err_set(err, ERR_UNAVAILABLE, errno, "connect");
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	*ret_pipe = (struct bridge_pipe){ .arg = way, .read_fd = fd, .write_fd = fd };
	atomic_fetch_add(&way->open, 1);
	return 0;
}

static int way_mute(struct way *way, struct bridge_pipe *ret_pipe)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		return -1;
	close(fds[1]);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	*ret_pipe = (struct bridge_pipe){ .arg = way, .read_fd = fds[0], .write_fd = fds[0] };
	atomic_fetch_add(&way->open, 1);
	return 0;
}

static int way_open(void *arg, int stop_fd, struct deadline by, struct bridge_pipe *ret_pipe,
		    struct err *err)
{
	struct way *way = arg;
	struct pollfd stop = { .fd = stop_fd, .events = POLLIN };

	atomic_fetch_add(&way->opens, 1);
	if (way->hang)
		poll(&stop, 1, deadline_poll_ms(by));
	if (way->refuse || way->hang) {
		err_set(err, ERR_PERMISSION_DENIED, 0, "the node does not want us");
		return err_explain(err, "TEST_REFUSED", NULL);
	}
	if (atomic_fetch_sub(&way->fail, 1) > 0)
		return err_set(err, ERR_UNAVAILABLE, 0, "the way is blocked");
	return way->mute ? way_mute(way, ret_pipe) : way_connect(way, ret_pipe, err);
}

static int way_explain(struct bridge_pipe *pipe, struct err *err)
{
	(void)pipe;
	return err_set(err, ERR_UNAUTHENTICATED, 0, "it hung up");
}

static void way_close(struct bridge_pipe *pipe)
{
	struct way *way = pipe->arg;

	close(pipe->read_fd);
	atomic_fetch_sub(&way->open, 1);
}

static void way_release(void *arg)
{
	atomic_fetch_add(&((struct way *)arg)->released, 1);
}

static const struct bridge_ops way_ops = {
	.name = "test",
	.open = way_open,
	.explain = way_explain,
	.close = way_close,
	.release = way_release,
};

static void *run_echo(void *arg)
{
	struct rig *rig = arg;
	nng_msg *msg;

	while (nng_recvmsg(rig->rep, &msg, 0) == 0)
		nng_sendmsg(rig->rep, msg, 0);
	return NULL;
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	char url[96];
	struct err err;

	snprintf(rig->dir, sizeof(rig->dir), "/tmp/berth-test-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	snprintf(rig->way.target, sizeof(rig->way.target), "%s/rep", rig->dir);
	snprintf(url, sizeof(url), "ipc://%s", rig->way.target);
	assert_int_equal(nng_rep0_open(&rig->rep), 0);
	assert_int_equal(nng_listen(rig->rep, url, NULL, 0), 0);
	assert_int_equal(pthread_create(&rig->echo, NULL, run_echo, rig), 0);
	assert_int_equal(bridge_open(&way_ops, &rig->way, &rig->bridge, &err), 0);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	bridge_close(rig->bridge);
	assert_int_equal(rig->way.released, 1);
	assert_int_equal(rig->way.open, 0);
	nng_close(rig->rep);
	pthread_join(rig->echo, NULL);
	unlink(rig->way.target);
	rmdir(rig->dir);
	free(rig);
	return 0;
}

static enum channel_result exchange(struct rig *rig, const char *text, int64_t ms, bool patient,
				    struct err *err)
{
	struct channel *channel;
	enum channel_result result;
	uint8_t *bytes = NULL;
	size_t len = 0;

	assert_int_equal(channel_open(bridge_path(rig->bridge), rig->bridge, &channel, err), 0);
	result = channel_exchange(channel, (const uint8_t *)text, strlen(text), deadline_in_ms(ms),
				  (struct channel_patience){ patient, DEADLINE_NEVER,
							     DEADLINE_NEVER },
				  &bytes, &len, err);
	if (result == CHANNEL_REPLY) {
		assert_int_equal(len, strlen(text));
		assert_memory_equal(bytes, text, len);
	}
	free(bytes);
	channel_close(channel);
	return result;
}

static void a_call_crosses_and_its_answer_comes_back(void **state)
{
	struct err err;

	assert_int_equal(exchange(*state, "hello", 5000, false, &err), CHANNEL_REPLY);
}

static void a_message_larger_than_every_buffer_crosses(void **state)
{
	cleanup_free char *big = malloc(BIG + 1);
	struct err err;

	memset(big, 'x', BIG);
	big[BIG] = '\0';
	assert_int_equal(exchange(*state, big, 20000, false, &err), CHANNEL_REPLY);
}

static void nobody_else_sees_the_socket(void **state)
{
	struct rig *rig = *state;
	cleanup_free char *dir = strdup(bridge_path(rig->bridge));
	struct stat st;

	*strrchr(dir, '/') = '\0';
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

static void one_who_only_looks_opens_nothing(void **state)
{
	struct rig *rig = *state;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct err err;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", bridge_path(rig->bridge));
	for (int i = 0; i < 50; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
		close(fd);
	}
	assert_int_equal(exchange(rig, "hello", 5000, false, &err), CHANNEL_REPLY);
	assert_int_equal(rig->way.opens, 1);
}

static void the_ways_own_error_reaches_the_caller(void **state)
{
	struct rig *rig = *state;
	struct err err = { 0 };

	/* nng dials again by itself, perhaps before the channel looks. */
	rig->way.fail = 1000;
	assert_int_equal(exchange(rig, "hello", 5000, false, &err), CHANNEL_ABSENT);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_string_equal(err.msg, "the way is blocked");
}

static void the_patient_try_again(void **state)
{
	struct rig *rig = *state;
	struct err err;

	rig->way.fail = 3;
	assert_int_equal(exchange(rig, "hello", 10000, true, &err), CHANNEL_REPLY);
	assert_int_equal(rig->way.opens, 4);
}

static void what_waiting_does_not_mend_ends_the_patient_too(void **state)
{
	struct rig *rig = *state;
	struct err err = { 0 };

	int64_t start = clock_now_ms();

	rig->way.refuse = true;
	assert_int_equal(exchange(rig, "hello", 10000, true, &err), CHANNEL_ABSENT);
	assert_string_equal(err.reason, "TEST_REFUSED");
	assert_true(clock_now_ms() - start < 20000);
}

static void an_end_without_a_word_is_explained(void **state)
{
	struct rig *rig = *state;
	struct err err = { 0 };

	rig->way.mute = true;
	assert_int_equal(exchange(rig, "hello", 10000, false, &err), CHANNEL_ABSENT);
	assert_string_equal(err.msg, "it hung up");
}

static void closing_does_not_wait_for_a_way_that_hangs(void **state)
{
	struct rig *rig = *state;
	int64_t begun = clock_now_ms();
	struct err err;

	rig->way.hang = true;
	assert_int_equal(exchange(rig, "hello", 200, false, &err), CHANNEL_UNSENT);
	bridge_close(TAKE(rig->bridge));
	assert_true(clock_now_ms() - begun < 20000);
	assert_int_equal(rig->way.released, 1);
}

static void several_channels_share_a_bridge(void **state)
{
	struct rig *rig = *state;
	struct channel *channels[4];
	uint8_t *bytes;
	struct err err;
	size_t len;

	for (size_t i = 0; i < ARRAY_LEN(channels); i++) {
		assert_int_equal(
			channel_open(bridge_path(rig->bridge), rig->bridge, &channels[i], &err), 0);
		assert_int_equal(channel_exchange(channels[i], (const uint8_t *)"x", 1,
						  deadline_in_ms(5000),
						  (struct channel_patience){ false, DEADLINE_NEVER,
									     DEADLINE_NEVER },
						  &bytes, &len, &err),
				 CHANNEL_REPLY);
		free(bytes);
	}
	assert_int_equal(rig->way.open, 4);
	for (size_t i = 0; i < ARRAY_LEN(channels); i++)
		channel_close(channels[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_call_crosses_and_its_answer_comes_back),
		TEST(a_message_larger_than_every_buffer_crosses),
		TEST(nobody_else_sees_the_socket),
		TEST(one_who_only_looks_opens_nothing),
		TEST(the_ways_own_error_reaches_the_caller),
		TEST(the_patient_try_again),
		TEST(what_waiting_does_not_mend_ends_the_patient_too),
		TEST(an_end_without_a_word_is_explained),
		TEST(closing_does_not_wait_for_a_way_that_hangs),
		TEST(several_channels_share_a_bridge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
