/** A network that is further away than this machine: a TCP proxy that delays. */
@NullMarked
package dev.grpsqlite.bench.proxy;

import org.jspecify.annotations.NullMarked;
