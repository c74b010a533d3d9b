/**
 * What clients did to a database and what they saw, judged afterwards. Pure: histories in,
 * violations out.
 */
@NullMarked
package dev.grpsqlite.e2e.history;

import org.jspecify.annotations.NullMarked;
