@NullMarked
package dev.grpsqlite.examples.agent;

import org.jspecify.annotations.NullMarked;
