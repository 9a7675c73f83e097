// Runs the part of a card's SQL that `query.plan` left for the page, over columns held in memory.
//
// A relation is {rows, columns: [{name, alias, data}]}, data an array with one value per row. Dates are days since
// 1970-01-01, instants milliseconds, missing values null: every operator hands null on as SQL does.
"use strict";

const Engine = (() => {
  const DAY = 86400000;

  // Functions

  const utc = (days) => new Date(days * DAY);
  const day = (year, month, date) => Math.round(Date.UTC(year, month, date) / DAY);

  function dateTrunc(unit, days) {
    const date = utc(days);
    if (unit === "month") return day(date.getUTCFullYear(), date.getUTCMonth(), 1);
    if (unit === "quarter") return day(date.getUTCFullYear(), Math.floor(date.getUTCMonth() / 3) * 3, 1);
    if (unit === "year") return day(date.getUTCFullYear(), 0, 1);
    if (unit === "week") return days - ((date.getUTCDay() + 6) % 7);
    if (unit === "day") return days;
    throw new Error(`date_trunc of ${unit}`);
  }

  function round(value, digits = 0) {
    const factor = 10 ** digits;
    return (Math.sign(value) * Math.round(Math.abs(value) * factor)) / factor;
  }

  // Halves go to the even neighbour, as in DuckDB's casts.
  function roundEven(value) {
    const low = Math.floor(value);
    const rest = value - low;
    if (rest !== 0.5) return Math.round(value);
    return low % 2 === 0 ? low : low + 1;
  }

  const strict = (apply) => (...values) => (values.some((value) => value === null) ? null : apply(...values));
  const present = (apply) => (...values) => {
    const known = values.filter((value) => value !== null);
    return known.length ? apply(known) : null;
  };

  const FUNCTIONS = {
    "+": strict((a, b) => (b === undefined ? a : a + b)),
    "-": strict((a, b) => (b === undefined ? -a : a - b)),
    "*": strict((a, b) => a * b),
    "/": strict((a, b) => (b === 0 ? null : a / b)),
    "%": strict((a, b) => (b === 0 ? null : a % b)),
    "||": strict((a, b) => `${a}${b}`),
    nullif: (a, b) => (a !== null && a === b ? null : a),
    round: strict(round),
    floor: strict(Math.floor),
    ceil: strict(Math.ceil),
    abs: strict(Math.abs),
    greatest: present((known) => known.reduce((a, b) => (b > a ? b : a))),
    least: present((known) => known.reduce((a, b) => (b < a ? b : a))),
    date_trunc: strict(dateTrunc),
    last_day: strict((days) => day(utc(days).getUTCFullYear(), utc(days).getUTCMonth() + 1, 0)),
    day: strict((days) => utc(days).getUTCDate()),
    lower: strict((text) => text.toLowerCase()),
    left: strict((text, length) => [...text].slice(0, length).join("")),
    concat: (...values) => values.filter((value) => value !== null).join(""),
  };

  const CASTS = {
    DOUBLE: Number,
    BIGINT: (value) => roundEven(Number(value)),
    INTEGER: (value) => roundEven(Number(value)),
    DATE: (value) => (typeof value === "string" ? Math.round(Date.parse(`${value}T00:00:00Z`) / DAY) : value),
    VARCHAR: String,
    BOOLEAN: (value) => (typeof value === "string" ? value === "t" || value === "true" : Boolean(value)),
  };

  const COMPARE = {
    COMPARE_EQUAL: (a, b) => a === b,
    COMPARE_NOTEQUAL: (a, b) => a !== b,
    COMPARE_LESSTHAN: (a, b) => a < b,
    COMPARE_LESSTHANOREQUALTO: (a, b) => a <= b,
    COMPARE_GREATERTHAN: (a, b) => a > b,
    COMPARE_GREATERTHANOREQUALTO: (a, b) => a >= b,
  };

  // Aggregates: values (nulls already left out for those with an argument), further constant arguments -> value

  function quantile(values, share) {
    if (!values.length) return null;
    const sorted = Float64Array.from(values).sort();
    const at = (sorted.length - 1) * share;
    const low = Math.floor(at);
    const high = Math.min(low + 1, sorted.length - 1);
    return sorted[low] + (sorted[high] - sorted[low]) * (at - low);
  }

  const fold = (choose) => (values) => (values.length ? values.reduce(choose) : null);
  const sum = fold((a, b) => a + b);

  const AGGREGATES = {
    sum,
    count: (values) => values.length,
    min: fold((a, b) => (b < a ? b : a)),
    max: fold((a, b) => (b > a ? b : a)),
    avg: (values) => (values.length ? sum(values) / values.length : null),
    median: (values) => quantile(values, 0.5),
    quantile_cont: quantile,
    first: (values) => (values.length ? values[0] : null),
    any_value: (values) => (values.length ? values[0] : null),
  };

  // Expressions: [what, …] -> a function of the row's position

  function compile(node, scope) {
    const [what, ...rest] = node;
    const inner = (items) => items.map((item) => compile(item, scope));
    switch (what) {
      case "lit":
        return () => rest[0];
      case "col":
        return scope.column(rest[0], rest[1]);
      case "agg":
        return scope.aggregate(node);
      case "win":
        return scope.window(node);
      case "fn": {
        const apply = FUNCTIONS[rest[0]];
        const [a, b, ...more] = inner(rest.slice(1));
        if (b === undefined) return (row) => apply(a(row));
        if (!more.length) return (row) => apply(a(row), b(row));
        return (row) => apply(a(row), b(row), ...more.map((item) => item(row)));
      }
      case "cast": {
        const value = compile(rest[1], scope);
        const cast = CASTS[rest[0]];
        return (row) => {
          const found = value(row);
          return found === null ? null : cast(found);
        };
      }
      case "case": {
        const checks = rest[0].map(([when, then]) => [compile(when, scope), compile(then, scope)]);
        const otherwise = compile(rest[1], scope);
        return (row) => {
          for (const [when, then] of checks) if (when(row) === true) return then(row);
          return otherwise(row);
        };
      }
      case "between": {
        const [value, low, high] = inner(rest);
        return (row) => {
          const [found, from, to] = [value(row), low(row), high(row)];
          if (found === null || from === null || to === null) return null;
          return found >= from && found <= to;
        };
      }
      case "cmp": {
        const [left, right] = inner(rest.slice(1));
        const compare = COMPARE[rest[0]];
        if (!compare) throw new Error(`comparison ${rest[0]}`);
        return (row) => {
          const [a, b] = [left(row), right(row)];
          return a === null || b === null ? null : compare(a, b);
        };
      }
      case "and":
      case "or": {
        const parts = inner(rest);
        const decides = what === "or";
        return (row) => {
          let unknown = false;
          for (const part of parts) {
            const value = part(row);
            if (value === decides) return decides;
            if (value === null) unknown = true;
          }
          return unknown ? null : !decides;
        };
      }
      case "not": {
        const value = compile(rest[0], scope);
        return (row) => {
          const found = value(row);
          return found === null ? null : !found;
        };
      }
      case "isnull": {
        const value = compile(rest[0], scope);
        return (row) => value(row) === null;
      }
      case "notnull": {
        const value = compile(rest[0], scope);
        return (row) => value(row) !== null;
      }
      case "coalesce": {
        const parts = inner(rest);
        return (row) => {
          for (const part of parts) {
            const value = part(row);
            if (value !== null) return value;
          }
          return null;
        };
      }
      case "in": {
        const [value, ...choices] = inner(rest);
        return (row) => {
          const found = value(row);
          if (found === null) return null;
          return choices.some((choice) => choice(row) === found);
        };
      }
      default:
        throw new Error(`expression ${what}`);
    }
  }

  const has = (node, kind) =>
    Array.isArray(node) && (node[0] === kind || node.some((item) => Array.isArray(item) && has(item, kind)));

  function find(relation, name, alias) {
    const wanted = name.toLowerCase();
    const column = relation.columns.find(
      (item) => item.name.toLowerCase() === wanted && (!alias || item.alias === alias),
    );
    return column;
  }

  function columnOf(relation, name, alias) {
    const column = find(relation, name, alias);
    if (!column) throw new Error(`no column ${alias ? `${alias}.` : ""}${name}`);
    return column.data;
  }

  const take = (relation, rows) => ({
    rows: rows.length,
    columns: relation.columns.map((column) => ({ ...column, data: rows.map((row) => column.data[row]) })),
  });

  // A text that two rows share exactly when their keys are equal.
  function keyOf(parts) {
    if (parts.length === 1) return parts[0];
    return (row) => parts.map((part) => {
      const value = part(row);
      return value === null ? "n" : `${typeof value === "string" ? "s" : "v"}${value}`;
    }).join("\u0000");
  }

  function sorted(rows, orders) {
    const keys = orders.map(([value, descending]) => [rows.map(value), descending]);
    const positions = rows.map((_, position) => position);
    positions.sort((left, right) => {
      for (const [values, descending] of keys) {
        const [a, b] = [values[left], values[right]];
        if (a === b) continue;
        if (a === null) return 1;
        if (b === null) return -1;
        return a < b === descending ? 1 : -1;
      }
      return left - right;
    });
    return positions.map((position) => rows[position]);
  }

  // Tables and joins

  function source(node, tables) {
    if (node === null) return { rows: 1, columns: [] };
    if (node.table !== undefined) {
      const table = tables.get(node.table);
      return { rows: table.rows, columns: table.columns.map((column) => ({ ...column, alias: node.alias })) };
    }
    return join(node, source(node.left, tables), source(node.right, tables));
  }

  function join(node, left, right) {
    const at = { left: 0, right: 0 };
    const side = (relation, name) => ({
      column(column, alias) {
        const data = columnOf(relation, column, alias);
        return () => data[at[name]];
      },
    });
    const both = {
      column(column, alias) {
        const data = find(left, column, alias);
        return data ? () => data.data[at.left] : side(right, "right").column(column, alias);
      },
    };
    const conditions = node.on === null ? [] : node.on[0] === "and" ? node.on.slice(1) : [node.on];
    const [leftKeys, rightKeys, others] = [[], [], []];
    for (const condition of conditions) {
      const [what, operator, ...sides] = condition;
      if (what === "cmp" && operator === "COMPARE_EQUAL" && sides.every((item) => item[0] === "col")) {
        const [one, two] = sides;
        const straight = find(left, one[1], one[2]) && find(right, two[1], two[2]);
        const [mine, theirs] = straight ? [one, two] : [two, one];
        if (find(left, mine[1], mine[2]) && find(right, theirs[1], theirs[2])) {
          leftKeys.push(compile(mine, side(left, "left")));
          rightKeys.push(compile(theirs, side(right, "right")));
          continue;
        }
      }
      others.push(compile(condition, both));
    }
    const all = Array.from({ length: right.rows }, (_, row) => row);
    let candidates = () => all;
    if (leftKeys.length) {
      const rightKey = keyOf(rightKeys);
      const rows = new Map();
      for (at.right = 0; at.right < right.rows; at.right += 1) {
        if (rightKeys.some((key) => key() === null)) continue;
        const key = rightKey();
        if (rows.has(key)) rows.get(key).push(at.right);
        else rows.set(key, [at.right]);
      }
      const leftKey = keyOf(leftKeys);
      candidates = () => (leftKeys.some((key) => key() === null) ? [] : rows.get(leftKey()) || []);
    }
    const [leftRows, rightRows] = [[], []];
    for (at.left = 0; at.left < left.rows; at.left += 1) {
      let matched = false;
      for (const row of candidates()) {
        at.right = row;
        if (others.every((condition) => condition() === true)) {
          leftRows.push(at.left);
          rightRows.push(row);
          matched = true;
        }
      }
      if (!matched && node.join === "left") {
        leftRows.push(at.left);
        rightRows.push(-1);
      }
    }
    const pick = (data, rows) => rows.map((row) => (row < 0 ? null : data[row]));
    return {
      rows: leftRows.length,
      columns: [
        ...left.columns.map((column) => ({ ...column, data: pick(column.data, leftRows) })),
        ...right.columns.map((column) => ({ ...column, data: pick(column.data, rightRows) })),
      ],
    };
  }

  // Queries

  function run(node, tables) {
    const result = node.union ? union(node, tables) : select(node, tables);
    return node.limit === undefined ? result : take(result, range(Math.min(node.limit, result.rows)));
  }

  const range = (length) => Array.from({ length }, (_, row) => row);

  function union(node, tables) {
    const parts = node.union.map((part) => run(part, tables));
    const result = {
      rows: parts.reduce((rows, part) => rows + part.rows, 0),
      columns: parts[0].columns.map((column, position) => ({
        name: column.name,
        alias: null,
        data: [].concat(...parts.map((part) => part.columns[position].data)),
      })),
    };
    if (!node.order) return result;
    const scope = { column: (name, alias) => ((data) => (row) => data[row])(columnOf(result, name, alias)) };
    const orders = node.order.map(([item, descending]) => [compile(item, scope), descending]);
    return take(result, sorted(range(result.rows), orders));
  }

  function select(node, tables) {
    const input = source(node.from, tables);
    const rowScope = {
      column(name, alias) {
        const data = columnOf(input, name, alias);
        return (row) => data[row];
      },
    };
    let rows = range(input.rows);
    if (node.where) {
      const condition = compile(node.where, rowScope);
      rows = rows.filter((row) => condition(row) === true);
    }
    const expressions = node.select.map(([, item]) => item);
    const grouped = node.group !== undefined || expressions.some((item) => has(item, "agg"));

    // `units` are what a result row stands for: the rows of one group, or one row.
    let units = null;
    if (grouped) units = groups(node, expressions, rows, rowScope);
    const first = grouped ? units.map((unit) => (unit.length ? unit[0] : -1)) : rows;
    const scope = {
      column(name, alias) {
        const data = columnOf(input, name, alias);
        return (unit) => (first[unit] < 0 ? null : data[first[unit]]);
      },
      aggregate([, name, args, condition, distinct]) {
        const values = aggregate(name, args, condition, distinct, units, rowScope);
        return (unit) => values[unit];
      },
      window(item) {
        const values = windowed(item, range(first.length), scope);
        return (unit) => values[unit];
      },
    };
    let kept = range(first.length);
    for (const condition of [node.having, node.qualify]) {
      if (!condition) continue;
      const holds = compile(condition, scope);
      kept = kept.filter((unit) => holds(unit) === true);
      if (condition === node.having && has(expressions, "win")) throw new Error("having below a window");
    }
    const outputs = node.select.map(([name, item]) => ({ name, value: compile(item, scope) }));
    if (node.order) {
      // A bare name in `order by` means the output column first.
      const ordering = {
        ...scope,
        column(name, alias) {
          const output = alias ? null : outputs.find((item) => item.name === name);
          return output ? output.value : scope.column(name, alias);
        },
      };
      kept = sorted(kept, node.order.map(([item, descending]) => [compile(item, ordering), descending]));
    }
    return {
      rows: kept.length,
      columns: outputs.map(({ name, value }) => ({ name, alias: null, data: kept.map(value) })),
    };
  }

  function groups(node, expressions, rows, scope) {
    const keys = node.group === "all" ? expressions.filter((item) => !has(item, "agg")) : node.group || [];
    if (!keys.length) return [rows];
    const outputs = new Map(node.select);
    const named = (item) => (item[0] === "col" && !item[2] && outputs.has(item[1]) ? outputs.get(item[1]) : item);
    const key = keyOf(keys.map((item) => {
      try {
        return compile(item, scope);
      } catch {
        return compile(named(item), scope);
      }
    }));
    const found = new Map();
    for (const row of rows) {
      const value = key(row);
      if (found.has(value)) found.get(value).push(row);
      else found.set(value, [row]);
    }
    return [...found.values()];
  }

  function aggregate(name, args, condition, distinct, units, scope) {
    const holds = condition ? compile(condition, scope) : null;
    const keep = (unit) => (holds ? unit.filter((row) => holds(row) === true) : unit);
    if (name === "count_star") return units.map((unit) => keep(unit).length);
    const value = compile(args[0], scope);
    const constants = args.slice(1).map((item) => compile(item, scope)(0));
    return units.map((unit) => {
      let values = keep(unit).map(value).filter((item) => item !== null);
      if (distinct) values = [...new Set(values)];
      return AGGREGATES[name](values, ...constants);
    });
  }

  function windowed([, name, args, partitions, orders], units, scope) {
    const parts = new Map();
    const key = partitions.length ? keyOf(partitions.map((item) => compile(item, scope))) : () => 0;
    for (const unit of units) {
      const value = key(unit);
      if (parts.has(value)) parts.get(value).push(unit);
      else parts.set(value, [unit]);
    }
    const sorting = orders.map(([item, descending]) => [compile(item, scope), descending]);
    const peers = sorting.length ? keyOf(sorting.map(([value]) => value)) : () => 0;
    const argument = args.length ? compile(args[0], scope) : null;
    const result = new Array(units.length);
    for (const part of parts.values()) {
      const ordered = sorting.length ? sorted(part, sorting) : part;
      ordered.forEach((unit, position) => {
        const tied = position > 0 && peers(unit) === peers(ordered[position - 1]);
        if (name === "row_number") result[unit] = position + 1;
        else if (name === "rank") result[unit] = tied ? result[ordered[position - 1]] : position + 1;
      });
      if (name === "row_number" || name === "rank") continue;
      const values = argument ? ordered.map(argument) : ordered.map(() => 1);
      let start = 0;
      while (start < ordered.length) {
        let end = start + 1;
        while (end < ordered.length && peers(ordered[end]) === peers(ordered[start])) end += 1;
        const known = values.slice(0, end).filter((item) => item !== null);
        const value = AGGREGATES[name === "count_star" ? "count" : name](known);
        for (; start < end; start += 1) result[ordered[start]] = value;
      }
    }
    return result;
  }

  // A card

  const TESTS = {
    date: (chosen) =>
      chosen.from === null && chosen.to === null
        ? null
        : (value) =>
            value !== null && (chosen.from === null || value >= chosen.from) && (chosen.to === null || value <= chosen.to),
    project: (chosen) => (chosen.projects ? (value) => chosen.projects.has(value) : null),
    model: (chosen) => (chosen.models ? (value) => chosen.models.has(value) : null),
  };

  function narrowed(table, filters, chosen) {
    const tests = Object.entries(filters)
      .map(([name, column]) => [TESTS[name](chosen), columnOf(table, column, null)])
      .filter(([test]) => test);
    if (!tests.length) return table;
    return take(table, range(table.rows).filter((row) => tests.every(([test, data]) => test(data[row]))));
  }

  /**
   * The rows of a card.
   * @param plan {sources: [{name, filters, table}], steps: [[name, node]]}; table is a relation
   * @param chosen {from, to: days or null, projects, models: Set or null}
   * @returns a relation
   */
  function evaluate(plan, chosen) {
    const tables = new Map();
    for (const item of plan.sources) tables.set(item.name, narrowed(item.table, item.filters, chosen));
    let result = null;
    for (const [name, node] of plan.steps) {
      result = run(node, tables);
      tables.set(name, result);
    }
    return result;
  }

  return { evaluate };
})();

if (typeof module !== "undefined") module.exports = { Engine };
