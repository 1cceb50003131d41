//! Weakened sessions: the machine is the real one, and its commands or its inputs are bent.

use tc_qdiscs::plug::ring::machine::{Command, Order as Wanted};

use crate::kernel::Order;

/// A weakened session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weak {
    NoBufferBeforeTheMap,
    MapBeforeBuffer,
    ReleaseOne,
    ReleasedWhenWritten,
    AnyAckReleases,
    BandReusedTooEarly,
    ReleaseOpensTheNextBand,
    ReleaseOpensAllBands,
    OneDeviceIsForgotten,
    LostAnswersCountAsDone,
    GuestRunsDuringClose,
    ForeignChangesAreIgnored,
    TheRescueKeepsWhatIsHeld,
    PluggedBeforeItIsEmpty,
    AStayingClosedNetworkIsOpened,
    TheGuardianOpensOneDevice,
}

impl Weak {
    pub(crate) const ALL: [Self; 16] = [
        Self::NoBufferBeforeTheMap,
        Self::MapBeforeBuffer,
        Self::ReleaseOne,
        Self::ReleasedWhenWritten,
        Self::AnyAckReleases,
        Self::BandReusedTooEarly,
        Self::ReleaseOpensTheNextBand,
        Self::ReleaseOpensAllBands,
        Self::OneDeviceIsForgotten,
        Self::LostAnswersCountAsDone,
        Self::GuestRunsDuringClose,
        Self::ForeignChangesAreIgnored,
        Self::TheRescueKeepsWhatIsHeld,
        Self::PluggedBeforeItIsEmpty,
        Self::AStayingClosedNetworkIsOpened,
        Self::TheGuardianOpensOneDevice,
    ];
}

/// A message to a device: the device, the machine's number of the command, and the kernel's order.
pub(crate) type Message = (u8, Option<u8>, Order);

/// The message with this number of a datagram to two devices.
pub(crate) fn message(
    weak: Option<Weak>,
    wanted: Option<Wanted>,
    commands: &[Command],
    bands: u8,
    number: u8,
) -> Option<Message> {
    if weak.is_some() {
        return orders(weak, wanted, commands, bands).get(usize::from(number)).copied();
    }
    let command = commands.get(usize::from(number / 2))?;
    Some((number % 2, Some(number / 2), plain(*command)))
}

/// All messages of a datagram, command by command.
fn orders(weak: Option<Weak>, wanted: Option<Wanted>, commands: &[Command], bands: u8) -> Vec<Message> {
    let mut all = Vec::new();
    for (number, command) in commands.iter().enumerate() {
        let mut order = plain(*command);
        let mut more = Vec::new();
        match (weak, wanted, *command) {
            (Some(Weak::NoBufferBeforeTheMap), Some(Wanted::Close), Command::Buffer(_)) if number == 0 => {
                order = Order::Nothing;
            }
            (Some(Weak::MapBeforeBuffer), Some(Wanted::Close), Command::Buffer(band)) if number == 0 => {
                order = Order::Map(band);
            }
            (Some(Weak::MapBeforeBuffer), Some(Wanted::Close), Command::Map(band)) => {
                order = Order::Buffer(band);
            }
            (Some(Weak::ReleaseOne), Some(Wanted::Close), Command::Map(band)) => {
                more.push(Order::Buffer((band + bands - 1) % bands));
            }
            (Some(Weak::ReleaseOne), Some(Wanted::Release { .. }), Command::Open(band)) => {
                order = Order::One(band);
            }
            (Some(Weak::ReleaseOpensTheNextBand), Some(Wanted::Release { .. }), Command::Open(band)) => {
                order = Order::Open((band + 1) % bands);
            }
            (Some(Weak::ReleaseOpensAllBands), Some(Wanted::Release { .. }), Command::Open(_)) => {
                more.extend((0..bands).map(Order::Open));
            }
            (Some(Weak::PluggedBeforeItIsEmpty), _, Command::Look(band)) if number != 2 => {
                order = Order::Buffer(band);
            }
            // As if the ring had one band less.
            (Some(Weak::BandReusedTooEarly), ..) => order = modulo(order, bands - 1),
            _ => {}
        }
        for device in 0..2 {
            let forgotten = weak == Some(Weak::OneDeviceIsForgotten) && device == 1;
            let order =
                if forgotten && matches!(wanted, Some(Wanted::Close)) { Order::Nothing } else { order };
            all.push((device, Some(number as u8), order));
        }
        all.extend(more.into_iter().flat_map(|order| [(0, None, order), (1, None, order)]));
    }
    all
}

const fn plain(command: Command) -> Order {
    match command {
        Command::Buffer(band) => Order::Buffer(band),
        Command::Map(band) => Order::Map(band),
        Command::Open(band) => Order::Open(band),
        Command::Renew(band) => Order::Renew(band),
        Command::Look(band) => Order::Look(band),
    }
}

const fn modulo(order: Order, bands: u8) -> Order {
    match order {
        Order::Buffer(band) => Order::Buffer(band % bands),
        Order::Map(band) => Order::Map(band % bands),
        Order::Open(band) => Order::Open(band % bands),
        Order::Renew(band) => Order::Renew(band % bands),
        Order::Look(band) => Order::Look(band % bands),
        other => other,
    }
}
