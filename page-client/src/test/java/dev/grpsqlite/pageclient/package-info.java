@NullMarked
package dev.grpsqlite.pageclient;

import org.jspecify.annotations.NullMarked;
