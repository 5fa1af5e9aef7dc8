const leave = require("./leave");

it("leaves sessions open", () => leave(2), 120_000);
