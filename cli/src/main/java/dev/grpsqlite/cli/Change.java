package dev.grpsqlite.cli;

import dev.grpsqlite.cli.Refusal.Kind;
import dev.grpsqlite.pageclient.Admin;
import dev.grpsqlite.pageclient.RemoteException;
import dev.grpsqlite.proto.v1.DatabaseInfo;
import java.util.function.Function;
import java.util.function.Supplier;

/** What a server does when it is asked to, and may have done although it did not say so. */
final class Change {
  private Change() {}

  /**
   * Asks for it. The first call of all gets the time for finding out whether there is a server,
   * which this one may well exceed; so another one goes before it, and looks at the database.
   *
   * @param name of a database that is there
   * @param change asks
   * @param unknown given what was there before, says what is not known if there is no answer, and
   *     how to find out
   */
  static <T> T of(
      Admin admin, String name, Supplier<T> change, Function<DatabaseInfo, String> unknown) {
    DatabaseInfo before = admin.stat(name);
    try {
      return change.get();
    } catch (RemoteException e) {
      throw e.mayBeDone()
          ? new Refusal(
              Kind.UNKNOWN,
              "the server did not say whether it "
                  + unknown.apply(before)
                  + " ("
                  + e.getMessage()
                  + ")")
          : e;
    }
  }
}
