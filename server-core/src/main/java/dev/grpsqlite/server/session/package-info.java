/**
 * Who is there: sessions, what they may still read, what they hold and wait for, what they are
 * told, and when they end.
 */
@NullMarked
package dev.grpsqlite.server.session;

import org.jspecify.annotations.NullMarked;
