/**
 * {@code grpsqlite}: one command for a person. {@link dev.grpsqlite.cli.Main} is where to begin;
 * each other command is a class.
 */
@NullMarked
package dev.grpsqlite.cli;

import org.jspecify.annotations.NullMarked;
