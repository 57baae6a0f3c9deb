// SPDX-License-Identifier: MIT
// reflect.h: the job that has reflections made whose time has come: of the users of whom enough
// sessions were learnt from since the last one. It finds them by what is due (the manifests,
// model/memory.h), so that its work grows with them; what is done for each is turn/reflect.h's.
// Owned by a runner's loop.
#ifndef JOBS_REFLECT_H
#define JOBS_REFLECT_H

#include "jobs/jobs.h"

enum { REFLECT_USERS_MAX = 100, REFLECT_ROWS_MAX = 20000,  // of one pass
       REFLECT_MS_MAX = 60 * 1000 };                       // then the next pass goes on

struct reflect_work;
// Nothing is done where env->reflect is NULL.
int reflect_work_new(struct reflect_work **out, const struct jobs_env *env, struct err *err);
void reflect_work_free(struct reflect_work *w);  // NULL allowed; no pass may be under way
struct runner_job reflect_job(struct reflect_work *w);

#endif
