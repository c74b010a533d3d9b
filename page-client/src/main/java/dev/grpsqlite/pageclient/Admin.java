package dev.grpsqlite.pageclient;

import com.google.protobuf.ByteString;
import dev.grpsqlite.pageclient.Session.At;
import dev.grpsqlite.proto.v1.DatabaseInfo;
import dev.grpsqlite.proto.v1.DropDatabaseRequest;
import dev.grpsqlite.proto.v1.ForkDatabaseRequest;
import dev.grpsqlite.proto.v1.ListDatabasesRequest;
import dev.grpsqlite.proto.v1.ListDatabasesResponse;
import dev.grpsqlite.proto.v1.ListVersionsRequest;
import dev.grpsqlite.proto.v1.ListVersionsResponse;
import dev.grpsqlite.proto.v1.RestoreDatabaseRequest;
import dev.grpsqlite.proto.v1.StatDatabaseRequest;
import dev.grpsqlite.proto.v1.VersionInfo;
import io.grpc.Status;
import java.util.Optional;
import java.util.function.Consumer;

/** Looks after databases. Thread-safe. */
public final class Admin {
  private final ServerConnection connection;

  Admin(ServerConnection connection) {
    this.connection = connection;
  }

  /** Gives each database whose name begins so to a consumer, in the order of the names' bytes. */
  public void list(String prefix, Consumer<DatabaseInfo> each) {
    String token = "";
    do {
      ListDatabasesRequest request =
          ListDatabasesRequest.newBuilder().setPrefix(prefix).setPageToken(token).build();
      ListDatabasesResponse answer =
          connection.call(() -> connection.adminStub().listDatabases(request));
      answer.getDatabasesList().forEach(each);
      token = answer.getNextPageToken();
    } while (!token.isEmpty());
  }

  public DatabaseInfo stat(String name) {
    StatDatabaseRequest request = StatDatabaseRequest.newBuilder().setName(name).build();
    return connection.call(() -> connection.adminStub().statDatabase(request)).getDatabase();
  }

  /** Empty if there is no such database. */
  public Optional<DatabaseInfo> find(String name) {
    try {
      return Optional.of(stat(name));
    } catch (RemoteException e) {
      if (e.is("NO_SUCH_DATABASE")) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /** Gives the newest of the retained versions to a consumer, the newest first. */
  public void history(String name, long atMost, Consumer<VersionInfo> each) {
    String token = "";
    long left = atMost;
    do {
      ListVersionsRequest request =
          ListVersionsRequest.newBuilder()
              .setName(name)
              .setPageLimit((int) Math.min(left, 1000))
              .setPageToken(token)
              .build();
      ListVersionsResponse answer =
          connection.call(() -> connection.adminStub().listVersions(request));
      answer.getVersionsList().forEach(each);
      left -= answer.getVersionsCount();
      token = answer.getNextPageToken();
    } while (!token.isEmpty() && left > 0);
  }

  /** Makes a database of a version of another, in constant time. */
  public DatabaseInfo fork(String name, String newName, At at) {
    ForkDatabaseRequest.Builder request =
        ForkDatabaseRequest.newBuilder()
            .setName(name)
            .setNewName(newName)
            .setCommitId(Session.randomId());
    if (at.version() != null) {
      request.setAtVersion(at.version());
    } else if (at.time() != null) {
      request.setAtTime(Session.timestamp(at.time()));
    }
    ForkDatabaseRequest built = request.build();
    return connection.call(() -> connection.adminStub().forkDatabase(built)).getDatabase();
  }

  /** Brings an old content back, as a new version, which is returned. */
  public long restore(String name, At at) {
    ByteString commit = Session.randomId();
    RestoreDatabaseRequest.Builder request =
        RestoreDatabaseRequest.newBuilder().setName(name).setCommitId(commit);
    if (at.version() != null) {
      request.setAtVersion(at.version());
    } else if (at.time() != null) {
      request.setAtTime(Session.timestamp(at.time()));
    } else {
      throw new RemoteException(
          Status.Code.INVALID_ARGUMENT, "INVALID_REQUEST", "no version to restore was named");
    }
    RestoreDatabaseRequest built = request.build();
    return connection.call(() -> connection.adminStub().restoreDatabase(built)).getVersion();
  }

  public void drop(String name) {
    DropDatabaseRequest request = DropDatabaseRequest.newBuilder().setName(name).build();
    connection.call(() -> connection.adminStub().dropDatabase(request));
  }
}
