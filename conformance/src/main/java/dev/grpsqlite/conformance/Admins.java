package dev.grpsqlite.conformance;

import com.google.protobuf.Duration;
import com.google.protobuf.Timestamp;
import dev.grpsqlite.proto.v1.DatabaseInfo;
import dev.grpsqlite.proto.v1.DropDatabaseRequest;
import dev.grpsqlite.proto.v1.DropDatabaseResponse;
import dev.grpsqlite.proto.v1.ListVersionsRequest;
import dev.grpsqlite.proto.v1.ListVersionsResponse;
import dev.grpsqlite.proto.v1.Retention;
import dev.grpsqlite.proto.v1.SetRetentionRequest;
import dev.grpsqlite.proto.v1.SetRetentionResponse;
import dev.grpsqlite.proto.v1.StatDatabaseRequest;
import dev.grpsqlite.proto.v1.VersionInfo;
import java.util.ArrayList;
import java.util.List;

/** Calls of the Admin service. */
final class Admins {
  private Admins() {}

  static void drop(Trial trial, String name) {
    DropDatabaseResponse unused =
        trial.admin().dropDatabase(DropDatabaseRequest.newBuilder().setName(name).build());
  }

  static DatabaseInfo stat(Trial trial, String name) {
    return trial
        .admin()
        .statDatabase(StatDatabaseRequest.newBuilder().setName(name).build())
        .getDatabase();
  }

  /** The whole history, so many versions in an answer. */
  static List<VersionInfo> versions(Trial trial, String name, int limit) throws Violation {
    List<VersionInfo> result = new ArrayList<>();
    String token = "";
    do {
      ListVersionsResponse answer =
          trial
              .admin()
              .listVersions(
                  ListVersionsRequest.newBuilder()
                      .setName(name)
                      .setPageLimit(limit)
                      .setPageToken(token)
                      .build());
      Expect.that(
          limit == 0 || answer.getVersionsCount() <= limit,
          "ListVersions answers more than page_limit versions");
      result.addAll(answer.getVersionsList());
      token = answer.getNextPageToken();
    } while (!token.isEmpty() && result.size() < 1000);
    return result;
  }

  /** Keeps this many versions behind the head, and none for its age. */
  static void keep(Trial trial, String name, long versions) {
    SetRetentionResponse unused =
        trial
            .admin()
            .setRetention(
                SetRetentionRequest.newBuilder()
                    .setName(name)
                    .setRetention(
                        Retention.newBuilder()
                            .setVersions(versions)
                            .setDuration(Duration.getDefaultInstance()))
                    .build());
  }

  static long nanos(Timestamp time) {
    return time.getSeconds() * 1_000_000_000 + time.getNanos();
  }
}
