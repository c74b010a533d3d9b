@NullMarked
package dev.grpsqlite.examples.tenants;

import org.jspecify.annotations.NullMarked;
