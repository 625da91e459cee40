// What the first lines of a table say: separator, column names, types, and what the service would not read.
// It is read for a preview only; what is sent is the file itself, or the pasted text with commas between its cells.

export const MOST_ROWS = 200;
const SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"};
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const DECIMAL_COMMA = /^[+-]?\d*,\d+([eE][+-]?\d+)?$/;
const MISSING = new Set(["", "NA", "N/A", "NaN", "nan", "null", "NULL"]); // as service/training/tables.py has them

/**
 * Read the beginning of a table.
 *
 * `text` is the whole text, or its beginning when `whole` is false: then the last line, which may be cut, is left out.
 * `pasted` text may be separated by tabs or semicolons and have no names; a file is sent as it is and must be plain CSV.
 * Returns {columns: [{name, type, missing, texts, mixed}], rows: [[text]], more, faults: [text], warnings: [text], named}: `type` is
 * "number", "text" or "empty", `texts` the number of different texts, `mixed` whether there are numbers among texts; `more` whether
 * rows follow that were not looked at, `named` whether the first line had names.
 */
export function readTable(text, {whole = true, pasted = false} = {}) {
  const clean = text.replace(/^\uFEFF/, "");
  const separator = separatorOf(clean);
  let {records, more} = recordsOf(clean, separator, MOST_ROWS + 1);
  if (!whole) {
    more ||= records.length > 0;
    if (records.length <= MOST_ROWS) records.pop();
  }
  const named = records.length > 0 && records[0].some((cell) => cell.trim() && !isNumber(cell, separator));
  const names = named ? records[0].map((cell) => cell.trim()) : invented(records[0]?.length ?? 0);
  const rows = named ? records.slice(1) : records;
  const columns = names.map((name, i) => ({name, ...typeOf(rows.map((row) => row[i] ?? ""), separator)}));
  const faults = faultsOf({text: clean, separator, named, names, rows, pasted});
  return {named, columns, rows, more, faults, warnings: faults.length || (pasted && separator !== ",") ? [] : decimalCommas(columns)};
}

/** Pasted text as the CSV that the service reads: names first, commas between cells, points in numbers. */
export function toCsv(text) {
  const clean = text.replace(/^\uFEFF/, "");
  const separator = separatorOf(clean);
  const {columns, named} = readTable(clean, {pasted: true});
  const {records} = recordsOf(clean, separator, Infinity);
  const body = named ? records.slice(1) : records;
  const cells = (cell) => {
    const value = cell.trim();
    return quoted(separator !== "," && DECIMAL_COMMA.test(value) ? value.replace(",", ".") : value);
  };
  const lines = [columns.map((column) => quoted(column.name)), ...body.map((row) => row.map(cells))];
  return lines.map((line) => line.join(",")).join("\n") + "\n";
}

function quoted(cell) {
  return /[",\n\r]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

/** The separator that cuts the first lines into the most cells, equally many in each; a comma when there is but one column. */
function separatorOf(text) {
  let [best, most] = [",", 1];
  for (const separator of ["\t", ";", ","]) {
    const {records} = recordsOf(text, separator, 20);
    const counts = records.map((record) => record.length);
    const even = counts.filter((count) => count === counts[0]).length / Math.max(counts.length, 1);
    if (counts[0] > 1 && counts[0] * even > most) [best, most] = [separator, counts[0] * even];
  }
  return best;
}

/** The first `most` records, as lists of cells; quotes may hold separators and line ends. Blank lines are no records. */
function recordsOf(text, separator, most) {
  const records = [];
  let record = [];
  let cell = "";
  let inQuotes = false;
  const end = () => {
    record.push(cell);
    if (record.length > 1 || record[0].trim()) records.push(record);
    [record, cell] = [[], ""];
  };
  let i = 0;
  for (; i < text.length && records.length < most; i++) {
    const sign = text[i];
    if (inQuotes && sign === '"' && text[i + 1] === '"') cell += text[i++];
    else if (sign === '"' && inQuotes) inQuotes = false;
    else if (sign === '"' && !cell.trim()) [inQuotes, cell] = [true, ""];
    else if (inQuotes) cell += sign;
    else if (sign === separator) {
      record.push(cell);
      cell = "";
    }
    else if (sign === "\n") end();
    else if (sign !== "\r") cell += sign;
  }
  if (records.length < most && (cell || record.length)) end();
  return {records, more: i < text.length};
}

function invented(count) {
  return Array.from({length: count}, (_, i) => (i + 1 === count && count > 1 ? "y" : `x${i + 1}`));
}

function isNumber(cell, separator) {
  const value = cell.trim();
  return NUMBER.test(value) || (separator !== "," && DECIMAL_COMMA.test(value));
}

function typeOf(cells, separator) {
  const present = cells.map((cell) => cell.trim()).filter((cell) => !MISSING.has(cell));
  const texts = new Set(present.filter((cell) => !isNumber(cell, separator)));
  const type = present.length === 0 ? "empty" : texts.size ? "text" : "number";
  const missing = cells.length - present.length;
  const decimal = present.some((cell) => DECIMAL_COMMA.test(cell));
  const mixed = texts.size > 0 && present.some((cell) => isNumber(cell, separator));
  return {type, missing, texts: new Set(present).size, decimal, mixed};
}

/** What the service would not read as it is meant, each with what to do. */
function faultsOf({text, separator, named, names, rows, pasted}) {
  if (!names.length) return ["There are no rows here yet."];
  if (text.includes("\0")) return ["This is not a text. Give a CSV file; Parquet and Arrow files can be sent with curl."];
  const faults = [];
  if (!rows.length) faults.push("There is one line only: below the names there must be rows.");
  if (!pasted && separator !== ",") {
    faults.push(`Its columns are separated by ${SEPARATORS[separator]}, but the service reads commas. Save it as CSV with commas and `
      + "decimal points, or paste the table here: then they are put in.");
  }
  if (!pasted && !named) {
    faults.push("Its first line holds numbers, but the service takes that line for the names of the columns. Add a line with names, "
      + "or paste the table here: then the columns get names.");
  }
  const uneven = rows.findIndex((row) => row.length !== names.length);
  if (uneven >= 0) {
    const cut = separator === "," && rows[uneven].length > names.length;
    const comma = cut ? " Does a decimal comma, as in 1,5, cut a number in two? Write 1.5." : "";
    const count = rows[uneven].length === 1 ? "1 cell" : `${rows[uneven].length} cells`;
    faults.push(`Row ${uneven + 1} has ${count} where there are ${names.length} columns.${comma}`);
  }
  const twice = names.find((name, i) => name && names.indexOf(name) !== i);
  if (twice !== undefined) faults.push(`Two columns are called ${twice}. Give one of them another name.`);
  if (names.some((name) => !name)) faults.push("A column has no name. Name it in the first line.");
  return faults;
}

/** Columns whose numbers have a decimal comma are texts to the service. */
function decimalCommas(columns) {
  const names = columns.filter((column) => column.decimal).map((column) => column.name);
  if (!names.length) return [];
  return [`Numbers in ${names.join(", ")} seem to have a decimal comma, as in 1,5, which the service takes for text. Save the file with `
    + "decimal points (1.5), or paste the table from the spreadsheet."];
}
