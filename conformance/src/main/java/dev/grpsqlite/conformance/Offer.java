package dev.grpsqlite.conformance;

import dev.grpsqlite.proto.file.GetCapabilitiesResponse;
import dev.grpsqlite.proto.v1.Capabilities;
import dev.grpsqlite.proto.v1.OpenSessionResponse;
import java.util.Optional;

/**
 * What a server says that it has.
 *
 * @param file the answer of its file service, if there is one
 * @param page the answer of its page service, if there is one
 * @param admin whether it has the Admin service
 */
record Offer(
    Optional<GetCapabilitiesResponse> file, Optional<OpenSessionResponse> page, boolean admin) {

  boolean has(Service service) {
    return switch (service) {
      case FILE -> file.isPresent();
      case PAGE -> page.isPresent();
    };
  }

  GetCapabilitiesResponse files() {
    return file.orElseThrow();
  }

  OpenSessionResponse pages() {
    return page.orElseThrow();
  }

  Capabilities can() {
    return pages().getCapabilities();
  }
}
