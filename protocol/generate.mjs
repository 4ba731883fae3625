// Writes, from schema/*.json, the C header and the TypeScript tables of each binary protocol.
// `node generate.mjs` writes; `node generate.mjs --check` exits with 1 when a file is out of date.
import { readFileSync, writeFileSync } from 'node:fs';

const SCALARS = {
  u8: { size: 1, c: 'uint8_t', ts: 'number' },
  u16: { size: 2, c: 'uint16_t', ts: 'number' },
  u32: { size: 4, c: 'uint32_t', ts: 'number' },
  i32: { size: 4, c: 'int32_t', ts: 'number' },
  u64: { size: 8, c: 'uint64_t', ts: 'bigint' },
  char: { size: 1, c: 'char', ts: 'string' },
};

const camel = (name) => name.replace(/_([a-z0-9])/g, (_, c) => c.toUpperCase());
const pascal = (name) => camel(`_${name}`);
const upper = (name) => name.toUpperCase();

/** Gives every field its offset and size, and refuses layouts that need padding. */
function lay(schema, fields, start, where) {
  let offset = start;
  const laid = [];
  for (const field of fields) {
    const scalar = SCALARS[field.type];
    const struct = schema.structs?.find((s) => s.name === field.type);
    if (!scalar && !struct) throw new Error(`${where}.${field.name}: no type ${field.type}`);
    const unit = scalar ? scalar.size : struct.size;
    const align = scalar ? scalar.size : struct.align;
    if (offset % align !== 0) throw new Error(`${where}.${field.name}: not aligned at ${offset}`);
    laid.push({ ...field, offset, unit, struct });
    offset += unit * (field.count ?? 1);
  }
  return { laid, size: offset };
}

function load(path) {
  const schema = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
  const align = (fields) =>
    Math.max(
      1,
      ...fields.map(
        (f) => SCALARS[f.type]?.size ?? schema.structs.find((s) => s.name === f.type).align,
      ),
    );
  for (const struct of schema.structs ?? []) {
    const { laid, size } = lay(schema, struct.fields, 0, struct.name);
    Object.assign(struct, { fields: laid, size, align: align(struct.fields) });
    if (size % struct.align !== 0) throw new Error(`${struct.name}: size ${size} needs padding`);
  }
  if (schema.header) {
    const { laid, size } = lay(schema, schema.header.fields, 0, 'header');
    Object.assign(schema.header, { fields: laid, size, align: align(laid) });
  }
  for (const message of schema.messages ?? []) {
    const { laid, size } = lay(schema, message.fields, schema.header.size, message.name);
    Object.assign(message, { fields: laid, size });
    const biggest = Math.max(4, align(laid));
    if (size % biggest !== 0) throw new Error(`${message.name}: size ${size} needs padding`);
    const limit = message.tail && constantOrNumber(schema, tailLimit(message));
    message.maxSize = size + (message.tail ? limit * tailUnit(schema, message.tail) : 0);
    message.maxFds ??= 0;
  }
  return schema;
}

const tailUnit = (schema, tail) =>
  tail.type === 'bytes' ? 1 : schema.structs.find((s) => s.name === tail.type).size;
const tailLimit = (message) => message.fields.find((f) => f.name === message.tail.count).max;
const constantOrNumber = (schema, value) =>
  typeof value === 'number' ? value : schema.constants.find((c) => c.name === value).value;

// ---------------------------------------------------------------- C

function cHeader(schema, source) {
  const P = upper(schema.prefix);
  const p = schema.prefix;
  const out = [];
  const cValue = (value) => (typeof value === 'number' ? `${value}u` : `${P}_${value}`);
  const cName = (e, v) => `${P}_${upper(e.name)}_${v.name}`;
  const cType = (f) => SCALARS[f.type]?.c ?? `struct ${p}_${f.type}`;
  const fieldLine = (f) =>
    `  ${cType(f)} ${f.name}${f.count ? `[${f.count}]` : ''};${f.doc ? ` /* ${f.doc} */` : ''}`;
  out.push(
    '/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later */',
    `/* ${schema.title}`,
    ' *',
    ` * Generated from ${source} by generate.mjs: do not edit.`,
    ' */',
    `#ifndef SCANBRIDGE_${upper(p)}_H`,
    `#define SCANBRIDGE_${upper(p)}_H`,
    '',
    '#include <assert.h>',
    '#include <stddef.h>',
    '#include <stdint.h>',
    '#include <string.h>',
    '',
    '#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__',
    '#error "this protocol is little-endian, and so must the machine be"',
    '#endif',
    '',
    '/* clang-format off */',
    '',
  );
  for (const c of schema.constants)
    out.push(`/* ${c.doc} */`, `#define ${P}_${c.name} ${c.value}u`);
  for (const e of schema.enums) {
    out.push('', `/* ${e.doc} */`, `enum ${p}_${e.name} {`);
    for (const v of e.values) out.push(`  ${cName(e, v)} = ${v.value}, /* ${v.doc} */`);
    out.push('};');
    if (e.flags)
      out.push(`#define ${P}_${upper(e.name)}_ALL ${e.values.reduce((a, v) => a | v.value, 0)}u`);
  }
  const struct = (name, doc, fields, size, header) => {
    out.push('', `/* ${doc} */`, `struct ${p}_${name} {`);
    if (header) out.push(`  struct ${p}_header header;`);
    for (const f of fields) out.push(fieldLine(f));
    out.push('};', `static_assert(sizeof(struct ${p}_${name}) == ${size}, "${p}_${name}: size");`);
    for (const f of fields)
      out.push(
        `static_assert(offsetof(struct ${p}_${name}, ${f.name}) == ${f.offset}, "${p}_${name}.${f.name}: offset");`,
      );
  };
  for (const s of schema.structs ?? []) struct(s.name, s.doc, s.fields, s.size, false);
  if (schema.header) {
    struct('header', schema.header.doc, schema.header.fields, schema.header.size, false);
    out.push(
      '',
      '/* Who sends a message. */',
      `enum ${p}_direction { ${P}_FROM_CLIENT, ${P}_FROM_SERVER };`,
    );
    out.push('', `enum ${p}_msg_type {`);
    for (const m of schema.messages) out.push(`  ${P}_MSG_${upper(m.name)} = ${m.type},`);
    out.push('};');
    for (const m of schema.messages) {
      const tail = m.tail
        ? ` Followed by ${m.tail.count} ${m.tail.type === 'bytes' ? 'bytes' : `struct ${p}_${m.tail.type}`}.`
        : '';
      struct(m.name, `From the ${m.from}: ${m.doc}${tail}`, m.fields, m.size, true);
    }
  }

  const checks = (fields, access, indent) => {
    const lines = [];
    for (const f of fields) {
      const at = `${access}${f.name}`;
      const bad = `return ${P}_SURFACE_ERROR_BAD_VALUE;`;
      if (f.struct) {
        const fn = `${p}_check_${f.type}_`;
        if (f.count)
          lines.push(
            `${indent}for (unsigned i = 0; i < ${f.count}u; i++) {`,
            `${indent}  if (!${fn}(&${at}[i])) ${bad}`,
            `${indent}}`,
          );
        else lines.push(`${indent}if (!${fn}(&${at})) ${bad}`);
        continue;
      }
      if (f.type === 'char') lines.push(`${indent}if (${at}[${f.count - 1}] != 0) ${bad}`);
      if (f.min !== undefined) lines.push(`${indent}if (${at} < ${cValue(f.min)}) ${bad}`);
      if (f.max !== undefined) lines.push(`${indent}if (${at} > ${cValue(f.max)}) ${bad}`);
      if (f.flags) lines.push(`${indent}if ((${at} & ~${P}_${upper(f.flags)}_ALL) != 0) ${bad}`);
      if (f.enum) {
        const e = schema.enums.find((x) => x.name === f.enum);
        const all = e.values.map((v) => `${at} != ${v.value}u`).join(' && ');
        lines.push(`${indent}if (${all}) ${bad}`);
      }
    }
    return lines;
  };

  if (schema.messages) {
    for (const s of schema.structs) {
      out.push('', `static inline int ${p}_check_${s.name}_(const struct ${p}_${s.name} *v) {`);
      for (const line of checks(s.fields, 'v->', '  '))
        out.push(line.replace(/return \w+;/, 'return 0;'));
      out.push('  return 1;', '}');
    }
    out.push(
      '',
      '/*',
      ` * Checks a header as soon as its ${schema.header.size} bytes are there: type and direction, bounds of`,
      ' * the length, number of descriptors, stream. Nothing may be allocated for a message before.',
      ` * Returns an enum ${p}_surface_error, 0 when the rest of the message may be read.`,
      ' */',
      `static inline uint32_t ${p}_check_header(const struct ${p}_header *h, enum ${p}_direction from) {`,
      '  uint32_t min = 0, max = 0, fds = 0, needs_stream = 0;',
      '  if (h->reserved != 0) return SB_SURFACE_ERROR_BAD_VALUE;',
      '  switch (h->type) {',
    );
    for (const m of schema.messages) {
      out.push(
        `    case ${P}_MSG_${upper(m.name)}:`,
        `      if (from != ${P}_FROM_${upper(m.from)}) return ${P}_SURFACE_ERROR_BAD_TYPE;`,
        `      min = ${m.size}u; max = ${m.maxSize}u; fds = ${m.maxFds}u; needs_stream = ${m.stream ? 1 : 0}u;`,
        '      break;',
      );
    }
    out.push(
      '    default:',
      `      return ${P}_SURFACE_ERROR_BAD_TYPE;`,
      '  }',
      `  if (h->length < min || h->length > max) return ${P}_SURFACE_ERROR_BAD_LENGTH;`,
      `  if (h->fd_count > fds) return ${P}_SURFACE_ERROR_BAD_FDS;`,
      `  if (needs_stream && h->stream == 0) return ${P}_SURFACE_ERROR_BAD_STREAM;`,
      '  return 0;',
      '}',
      '',
      '/*',
      ' * Checks a whole message (header.length bytes, any alignment): header, ranges of all fields, and that',
      ' * what follows the fixed part is as long as the fixed part says.',
      ` * Returns an enum ${p}_surface_error, 0 when every field can be used.`,
      ' */',
      `static inline uint32_t ${p}_check_message(const void *message, enum ${p}_direction from) {`,
      `  struct ${p}_header h;`,
      '  memcpy(&h, message, sizeof h);',
      `  uint32_t error = ${p}_check_header(&h, from);`,
      '  if (error != 0) return error;',
      '  switch (h.type) {',
    );
    for (const m of schema.messages) {
      const body = checks(m.fields, 'm.', '      ');
      if (m.tail) {
        const unit = tailUnit(schema, m.tail);
        if (m.tail.product) {
          const product = m.tail.product
            .map((x) => (typeof x === 'number' ? `${x}u` : `(uint64_t)m.${x}`))
            .join(' * ');
          body.push(
            `      if (m.${m.tail.count} != ${product}) return ${P}_SURFACE_ERROR_BAD_VALUE;`,
          );
        }
        body.push(
          `      if (h.length != ${m.size}u + m.${m.tail.count} * ${unit}u) return ${P}_SURFACE_ERROR_BAD_LENGTH;`,
        );
        if (m.tail.type !== 'bytes')
          body.push(
            `      for (uint32_t i = 0; i < m.${m.tail.count}; i++) {`,
            `        struct ${p}_${m.tail.type} v;`,
            `        memcpy(&v, (const uint8_t *)message + ${m.size}u + i * ${unit}u, sizeof v);`,
            `        if (!${p}_check_${m.tail.type}_(&v)) return ${P}_SURFACE_ERROR_BAD_VALUE;`,
            '      }',
          );
      }
      if (body.length === 0) continue;
      out.push(
        `    case ${P}_MSG_${upper(m.name)}: {`,
        `      struct ${p}_${m.name} m;`,
        '      memcpy(&m, message, sizeof m);',
        ...body,
        '      break;',
        '    }',
      );
    }
    out.push('    default:', '      break;', '  }', '  return 0;', '}');
  }
  out.push('', '/* clang-format on */', `#endif /* SCANBRIDGE_${upper(p)}_H */`, '');
  return out.join('\n');
}

// ---------------------------------------------------------------- TypeScript

function typescript(schema, source) {
  const out = [
    '// SPDX-License-Identifier: Apache-2.0',
    `// Generated from ${source} by generate.mjs: do not edit.`,
    '',
  ];
  const resolve = (value) => constantOrNumber(schema, value);
  const tsType = (f) => {
    const base = SCALARS[f.type]?.ts ?? pascal(f.type);
    return f.count && f.type !== 'char' ? `readonly ${base}[]` : base;
  };
  for (const c of schema.constants)
    out.push(`/** ${c.doc} */`, `export const ${c.name} = ${c.value};`);
  for (const e of schema.enums) {
    const name = pascal(e.name);
    out.push('', `/** ${e.doc} */`, `export const ${name} = {`);
    for (const v of e.values) out.push(`  /** ${v.doc} */`, `  ${v.name}: ${v.value},`);
    out.push('} as const;');
    out.push(`export type ${name} = (typeof ${name})[keyof typeof ${name}];`);
  }
  const iface = (name, doc, lines) =>
    out.push('', `/** ${doc} */`, `export interface ${name} {`, ...lines, '}');
  const member = (f) =>
    `${f.doc ? `  /** ${f.doc} */\n` : ''}  readonly ${camel(f.name)}: ${tsType(f)};`;
  const shown = (fields) => fields.filter((f) => f.name !== 'reserved' && f.name !== 'length');
  for (const s of schema.structs ?? []) iface(pascal(s.name), s.doc, shown(s.fields).map(member));
  const layout = (fields) =>
    fields.map((f) => ({
      name: camel(f.name),
      type: f.type,
      offset: f.offset,
      ...(f.count ? { count: f.count } : {}),
      ...(f.min !== undefined ? { min: resolve(f.min) } : {}),
      ...(f.max !== undefined ? { max: resolve(f.max) } : {}),
      ...(f.flags
        ? {
            flags: schema.enums
              .find((e) => e.name === f.flags)
              .values.reduce((a, v) => a | v.value, 0),
          }
        : {}),
      ...(f.enum
        ? { values: schema.enums.find((e) => e.name === f.enum).values.map((v) => v.value) }
        : {}),
    }));
  if (schema.messages) {
    for (const m of schema.messages) {
      const counted = m.tail?.count;
      const lines = [`  readonly type: '${m.name}';`];
      if (m.stream) lines.push('  /** Stream that this is about. */', '  readonly stream: number;');
      lines.push(
        '  /** Of the request; 0 or absent in events. */',
        '  readonly serial?: number;',
        ...(m.maxFds
          ? ['  /** Descriptors that travel with it. */', '  readonly fdCount?: number;']
          : []),
        ...shown(m.fields)
          .filter((f) => f.name !== counted)
          .map(member),
      );
      if (m.tail)
        lines.push(
          `  readonly ${m.tail.name}: ${m.tail.type === 'bytes' ? 'Uint8Array' : `readonly ${pascal(m.tail.type)}[]`};`,
        );
      iface(pascal(m.name), m.doc, lines);
    }
    for (const from of ['client', 'server']) {
      const names = schema.messages.filter((m) => m.from === from).map((m) => pascal(m.name));
      out.push(
        '',
        `/** What a ${from} sends. */`,
        `export type From${pascal(from)} =`,
        ...names.map((n) => `  | ${n}`),
      );
      out[out.length - 1] += ';';
    }
  }
  out.push(
    '',
    '/** Where a field lies and what it may hold. */',
    'export interface FieldLayout {',
    '  readonly name: string;',
    '  readonly type: string;',
    '  readonly offset: number;',
    '  readonly count?: number;',
    '  readonly min?: number;',
    '  readonly max?: number;',
    '  readonly flags?: number;',
    '  readonly values?: readonly number[];',
    '}',
    '',
    'export interface StructLayout {',
    '  readonly size: number;',
    '  readonly fields: readonly FieldLayout[];',
    '}',
    '',
    'export const structs: Readonly<Record<string, StructLayout>> = ',
  );
  const structs = {};
  for (const s of [...(schema.structs ?? []), ...(schema.header ? [schema.header] : [])])
    structs[s.name] = { size: s.size, fields: layout(s.fields) };
  out[out.length - 1] += `${JSON.stringify(structs, null, 2)};`;
  if (schema.messages) {
    out.push(
      '',
      'export interface MessageLayout extends StructLayout {',
      "  readonly name: (FromClient | FromServer)['type'];",
      '  readonly type: number;',
      "  readonly from: 'client' | 'server';",
      '  readonly stream: boolean;',
      '  readonly maxFds: number;',
      '  readonly maxSize: number;',
      '  readonly tail?: {',
      '    readonly name: string;',
      '    readonly type: string;',
      '    readonly count: string;',
      '    readonly unit: number;',
      '    readonly product?: readonly (string | number)[];',
      '  };',
      '}',
      '',
      'export const messages: readonly MessageLayout[] = ',
    );
    const messages = schema.messages.map((m) => ({
      name: m.name,
      type: m.type,
      from: m.from,
      stream: m.stream === true,
      maxFds: m.maxFds,
      size: m.size,
      maxSize: m.maxSize,
      fields: layout(m.fields),
      ...(m.tail
        ? { tail: { ...m.tail, count: camel(m.tail.count), unit: tailUnit(schema, m.tail) } }
        : {}),
    }));
    out[out.length - 1] += `${JSON.stringify(messages, null, 2)};`;
  }
  out.push('');
  return out.join('\n');
}

const outputs = [];
for (const [source, header, ts] of [
  ['schema/surface.json', 'include/scanbridge/surface.h', 'src/generated/surface.ts'],
  [
    'schema/viewer-video.json',
    'include/scanbridge/viewer_video.h',
    'src/generated/viewer-video.ts',
  ],
]) {
  const schema = load(source);
  outputs.push([header, cHeader(schema, source)], [ts, typescript(schema, source)]);
}
const check = process.argv.includes('--check');
for (const [path, text] of outputs) {
  const url = new URL(path, import.meta.url);
  if (!check) {
    writeFileSync(url, text);
    continue;
  }
  if (readFileSync(url, 'utf8') !== text) {
    console.error(`protocol/${path} is out of date: run "npm run generate"`);
    process.exitCode = 1;
  }
}
