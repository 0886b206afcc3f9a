const rate = Number(process.argv[2]);
let w = 0;
for (let i = 0; i < 5; i++) w -= rate * 2 * (w - 3);
console.log("rate", rate, w);
