#include "controller/client/ahead.h"

#include <pthread.h>
#include <stdlib.h>

struct ahead {
	pthread_t thread;
	bool begun; /* the owner's: not waited for yet */

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed;
	ahead_fn *fn; /* NULL: nothing to do */
	void *arg;
	bool closing;
};

static void *work(void *arg)
{
	struct ahead *a = arg;

	pthread_mutex_lock(&a->lock);
	while (a->fn || !a->closing) {
		if (!a->fn) {
			pthread_cond_wait(&a->changed, &a->lock);
			continue;
		}
		pthread_mutex_unlock(&a->lock);
		a->fn(a->arg);
		pthread_mutex_lock(&a->lock);
		a->fn = NULL;
		pthread_cond_signal(&a->changed);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

static void ahead_free(struct ahead *a)
{
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

int ahead_open(struct ahead **ret_ahead, struct err *err)
{
	struct ahead *a = calloc(1, sizeof(*a));

	if (!a)
		return err_oom(err);
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	if (pthread_create(&a->thread, NULL, work, a) != 0) {
		ahead_free(a);
		return err_set(err, ERR_RESOURCE_EXHAUSTED, 0, "cannot start a thread");
	}
	*ret_ahead = a;
	return 0;
}

void ahead_close(struct ahead *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->closing = true;
	pthread_cond_signal(&a->changed);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	ahead_free(a);
}

void ahead_begin(struct ahead *a, ahead_fn *fn, void *arg)
{
	a->begun = true;
	pthread_mutex_lock(&a->lock);
	a->fn = fn;
	a->arg = arg;
	pthread_cond_signal(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

bool ahead_wait(struct ahead *a)
{
	bool begun = a->begun;

	a->begun = false;
	pthread_mutex_lock(&a->lock);
	while (a->fn)
		pthread_cond_wait(&a->changed, &a->lock);
	pthread_mutex_unlock(&a->lock);
	return begun;
}
