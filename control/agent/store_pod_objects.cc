#include "control/agent/store_pod_objects.h"

namespace millrace::control::agent {

net::Result<void> erase_pod_object(Database& database, const std::string& pod_namespace, const std::string& name) {
  auto statement = database.prepare("DELETE FROM pod_objects WHERE pod_namespace = ?1 AND name = ?2");
  if (!statement) return statement.error();
  statement->bind(1, pod_namespace).bind(2, name);
  return statement->run();
}

net::Result<void> insert_pod_object(Database& database, const PodObject& object) {
  auto pod = database.prepare("INSERT INTO pod_objects (pod_namespace, name) VALUES (?1, ?2)");
  if (!pod) return pod.error();
  pod->bind(1, object.pod_namespace).bind(2, object.name);
  if (auto run = pod->run(); !run) return run.error();
  const std::int64_t id = database.last_insert_id();

  auto label = database.prepare("INSERT INTO pod_labels (pod, key, value) VALUES (?1, ?2, ?3)");
  if (!label) return label.error();
  for (const auto& [key, value] : object.labels) {
    label->reset();
    label->bind(1, id).bind(2, key).bind(3, value);
    if (auto run = label->run(); !run) return run.error();
  }
  auto port =
      database.prepare("INSERT INTO pod_ports (pod, position, name, port, protocol) VALUES (?1, ?2, ?3, ?4, ?5)");
  if (!port) return port.error();
  std::int64_t position = 0;
  for (const ContainerPort& p : object.ports) {
    port->reset();
    port->bind(1, id).bind(2, position++).bind(3, p.name).bind(4, std::int64_t{p.port}).bind(5, p.protocol);
    if (auto run = port->run(); !run) return run.error();
  }
  return {};
}

net::Result<std::map<std::pair<std::string, std::string>, PodObject>> read_pod_objects(Database& database) {
  std::map<std::pair<std::string, std::string>, PodObject> objects;
  std::map<std::int64_t, PodObject*> by_id;
  auto pods = database.prepare("SELECT id, pod_namespace, name FROM pod_objects");
  if (!pods) return pods.error();
  auto row = pods->step();
  for (; row && *row; row = pods->step()) {
    PodObject& object = objects[{pods->text(1), pods->text(2)}];
    object.pod_namespace = pods->text(1);
    object.name = pods->text(2);
    by_id[pods->integer(0)] = &object;
  }
  if (!row) return row.error();

  auto labels = database.prepare("SELECT pod, key, value FROM pod_labels");
  if (!labels) return labels.error();
  for (row = labels->step(); row && *row; row = labels->step()) {
    by_id.at(labels->integer(0))->labels[labels->text(1)] = labels->text(2);
  }
  if (!row) return row.error();

  auto ports = database.prepare("SELECT pod, name, port, protocol FROM pod_ports ORDER BY pod, position");
  if (!ports) return ports.error();
  for (row = ports->step(); row && *row; row = ports->step()) {
    by_id.at(ports->integer(0))
        ->ports.push_back({ports->text(1), static_cast<std::uint16_t>(ports->integer(2)), ports->text(3)});
  }
  if (!row) return row.error();
  return objects;
}

}  // namespace millrace::control::agent
