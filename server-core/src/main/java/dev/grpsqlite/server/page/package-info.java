/** The page service and the administration of databases, over the SPI. */
@NullMarked
package dev.grpsqlite.server.page;

import org.jspecify.annotations.NullMarked;
