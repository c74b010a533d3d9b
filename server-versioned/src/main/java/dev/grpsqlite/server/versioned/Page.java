package dev.grpsqlite.server.versioned;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageImage;

/**
 * A page as one commit wrote it. Two pages are the same only if they are one object: then the same
 * commit wrote them.
 */
final class Page {
  /** The database whose version the image tells: a fork shares the pages of its parent. */
  private final DatabaseId writer;

  private final PageImage image;

  Page(DatabaseId writer, PageImage image) {
    this.writer = writer;
    this.image = image;
  }

  long number() {
    return image.number();
  }

  /** As a database sees it: what it got when it was forked is of version 0. */
  PageImage in(DatabaseId database) {
    return writer.equals(database)
        ? image
        : new PageImage(image.number(), 0, image.checksum(), image.data());
  }

  boolean hasContentOf(Page other) {
    return image.data().equals(other.image.data());
  }

  /** The same content, written again. */
  Page writtenBy(DatabaseId database, long version) {
    return new Page(
        database, new PageImage(image.number(), version, image.checksum(), image.data()));
  }
}
