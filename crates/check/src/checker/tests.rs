use super::*;

mod answers;
mod causes;
mod forgeries;
mod load;
mod world;
