// The config of ops that have none; they do not look at it.
#ifndef EBB_TESTS_NO_CONFIG_H
#define EBB_TESTS_NO_CONFIG_H

namespace ebb_test {

struct NoConfig {};

} // namespace ebb_test

#endif
