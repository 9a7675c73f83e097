// Run once by the mongo image, when its storage is empty, as root. Two users, each with no more than it needs:
//   claude_reader   the pipeline: may read one collection, nothing else
//   claude_writer   the sync: may read and write that collection
const database = process.env.MONGO_DB || "claude_logs";
const collection = process.env.MONGO_COLLECTION || "conversations";
const target = db.getSiblingDB(database);

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(name + " is not set: run `make env`");
  return value;
}

target.createRole({
  role: "read_conversations",
  privileges: [{ resource: { db: database, collection: collection }, actions: ["find"] }],
  roles: [],
});
target.createRole({
  role: "write_conversations",
  privileges: [
    { resource: { db: database, collection: collection }, actions: ["find", "insert", "update", "remove", "createIndex"] },
  ],
  roles: [],
});
target.createUser({ user: "claude_reader", pwd: required("MONGO_READER_PASSWORD"), roles: ["read_conversations"] });
target.createUser({ user: "claude_writer", pwd: required("MONGO_WRITER_PASSWORD"), roles: ["write_conversations"] });
