/** What the demo shop sells: the vocabulary from which the generator writes product texts. */

/** A kind of product; `next` lists what its buyers need afterwards, the likeliest first. */
export interface ProductType {
  names: readonly string[];
  about: readonly string[];
  next: readonly string[];
}

export interface Department {
  name: string;
  brands: readonly string[];
  types: Readonly<Record<string, ProductType>>;
}

/** Looks that run through all departments. Neighbours in the list are alike, which is where a drifting taste goes. */
export const styles: readonly { finish: string; words: readonly string[] }[] = [
  { finish: 'Matte Black', words: ['sleek minimalist look', 'dark understated design'] },
  { finish: 'Graphite Grey', words: ['sober industrial look', 'cool urban design'] },
  { finish: 'Brushed Steel', words: ['professional workshop look', 'robust metal design'] },
  { finish: 'Natural Oak', words: ['warm rustic look', 'handcrafted wooden accents'] },
  { finish: 'Forest Green', words: ['calm outdoor colours', 'inspired by nature'] },
  { finish: 'Ocean Blue', words: ['fresh maritime colours', 'bright cheerful design'] },
  { finish: 'Blush Pink', words: ['soft pastel colours', 'playful rounded design'] },
  { finish: 'Pearl White', words: ['clean bright look', 'light scandinavian design'] },
];

/** Model lines; an item of a line fits the other items of that line. */
export const seriesNames = ['Aria', 'Bolt', 'Cirrus', 'Delta', 'Ember', 'Flux', 'Grove', 'Halo'] as const;

export const departments: readonly Department[] = [
  {
    name: 'Home Office',
    brands: ['Printwell', 'Deskora', 'Inkwise', 'Paperlane', 'Officia'],
    types: {
      printer: {
        names: ['Wireless Laser Printer', 'All-in-One Inkjet Printer', 'Compact Photo Printer'],
        about: ['Prints, scans and copies from any device', 'Quiet duplex printing up to 22 pages a minute'],
        next: ['ink', 'paper'],
      },
      ink: {
        names: ['Ink Cartridge Multipack', 'High-Yield Toner Cartridge', 'Replacement Ink Refill Kit'],
        about: ['Smudge-free pigment ink with level indicator', 'Yields up to 1500 pages'],
        next: ['paper', 'labels'],
      },
      paper: {
        names: ['Multipurpose Copy Paper', 'Glossy Photo Paper Pack', 'Recycled Printer Paper Ream'],
        about: ['Acid-free sheets that resist jams', 'Heavyweight sheets, 500 in a ream'],
        next: ['binder', 'labels'],
      },
      labels: {
        names: ['Address Label Sheets', 'Removable Sticker Labels'],
        about: ['Peels cleanly without residue', 'Templates for shipping and filing'],
        next: ['organizer', 'binder'],
      },
      binder: {
        names: ['Three Ring Binder Set', 'Document Folder Portfolio'],
        about: ['Wide spine holds 400 sheets', 'Index tabs and inner pockets'],
        next: ['organizer', 'desklamp'],
      },
      organizer: {
        names: ['Desktop File Organizer', 'Drawer Divider Tray'],
        about: ['Keeps pens, clips and letters in order', 'Stackable trays with rubber feet'],
        next: ['desklamp', 'chair'],
      },
      desklamp: {
        names: ['LED Desk Lamp', 'Adjustable Reading Lamp'],
        about: ['Dimmable light without flicker', 'Five colour temperatures and USB charging'],
        next: ['chair', 'printer'],
      },
      chair: {
        names: ['Ergonomic Office Chair', 'Mesh Task Chair'],
        about: ['Lumbar support and tilting backrest', 'Height adjustable with soft casters'],
        next: ['desklamp', 'printer'],
      },
    },
  },
  {
    name: 'Coffee & Kitchen',
    brands: ['Brewmont', 'Roastery Lane', 'Caffeo', 'Steamhaus', 'Morning Ritual'],
    types: {
      espresso: {
        names: ['Espresso Machine', 'Semi-Automatic Espresso Maker'],
        about: ['15 bar pump with thermoblock heating', 'Steam wand for cappuccino and latte'],
        next: ['beans', 'grinder'],
      },
      grinder: {
        names: ['Conical Burr Grinder', 'Electric Coffee Grinder'],
        about: ['Forty grind settings from fine to coarse', 'Low retention chute keeps grounds fresh'],
        next: ['beans', 'scale'],
      },
      beans: {
        names: ['Whole Bean Coffee', 'Single Origin Arabica Beans', 'Dark Roast Espresso Beans'],
        about: ['Notes of cocoa, caramel and hazelnut', 'Small batch roasted and sealed fresh'],
        next: ['filters', 'mug'],
      },
      scale: {
        names: ['Coffee Scale with Timer', 'Precision Kitchen Scale'],
        about: ['Measures to a tenth of a gram', 'Built-in timer for pour over'],
        next: ['pourover', 'beans'],
      },
      pourover: {
        names: ['Pour Over Dripper', 'Glass Coffee Carafe Set'],
        about: ['Spiral ribs for even extraction', 'Heat resistant borosilicate glass'],
        next: ['filters', 'kettle'],
      },
      filters: {
        names: ['Paper Coffee Filters', 'Reusable Cone Filter'],
        about: ['Unbleached fibre without paper taste', 'Pack of two hundred cones'],
        next: ['descaler', 'mug'],
      },
      kettle: {
        names: ['Gooseneck Kettle', 'Variable Temperature Kettle'],
        about: ['Precise slow pour with counterbalanced handle', 'Holds temperature for an hour'],
        next: ['mug', 'descaler'],
      },
      mug: {
        names: ['Double Wall Mug Set', 'Insulated Travel Tumbler'],
        about: ['Keeps drinks hot for hours', 'Leak proof lid and comfortable handle'],
        next: ['descaler', 'espresso'],
      },
      descaler: {
        names: ['Descaling Tablets', 'Machine Cleaning Solution'],
        about: ['Removes limescale and coffee oils', 'Safe for boilers, pumps and steam wands'],
        next: ['filters', 'beans'],
      },
    },
  },
  {
    name: 'Camera & Photo',
    brands: ['Lumora', 'Optika', 'Focalpoint', 'Northlens', 'Shutterbay'],
    types: {
      camera: {
        names: ['Mirrorless Camera', 'Digital SLR Camera Body'],
        about: ['24 megapixel sensor with image stabilisation', 'Fast autofocus with eye detection'],
        next: ['lens', 'memory'],
      },
      lens: {
        names: ['Prime Lens 50mm', 'Telephoto Zoom Lens', 'Wide Angle Lens'],
        about: ['Bright aperture for portraits and low light', 'Coated glass against flare'],
        next: ['lensfilter', 'camerabag'],
      },
      memory: {
        names: ['SD Memory Card', 'High Speed Flash Card'],
        about: ['Records 4K video without drops', 'Survives water, shock and X-rays'],
        next: ['battery', 'cardreader'],
      },
      battery: {
        names: ['Rechargeable Camera Battery', 'Dual Battery Charger Kit'],
        about: ['Full decoding shows the remaining charge', 'Overheat and overcharge protection'],
        next: ['camerabag', 'cardreader'],
      },
      lensfilter: {
        names: ['Circular Polarizer Filter', 'Neutral Density Filter Set', 'UV Protection Filter'],
        about: ['Cuts reflections and deepens skies', 'Slim frame avoids vignetting'],
        next: ['tripod', 'cleaning'],
      },
      tripod: {
        names: ['Carbon Travel Tripod', 'Aluminium Tripod with Ball Head'],
        about: ['Folds to 40 centimetres', 'Carries eight kilograms steadily'],
        next: ['remote', 'camerabag'],
      },
      camerabag: {
        names: ['Camera Backpack', 'Padded Shoulder Bag'],
        about: ['Dividers for body and three lenses', 'Rain cover and laptop sleeve'],
        next: ['cleaning', 'tripod'],
      },
      remote: {
        names: ['Wireless Shutter Remote', 'Interval Timer Release'],
        about: ['Triggers from a hundred metres', 'Time lapse and bulb exposure modes'],
        next: ['lens', 'battery'],
      },
      cleaning: {
        names: ['Lens Cleaning Kit', 'Sensor Swab Set'],
        about: ['Blower, brush and microfibre cloths', 'Removes dust without streaks'],
        next: ['lens', 'memory'],
      },
      cardreader: {
        names: ['USB-C Card Reader', 'Multi Slot Card Hub'],
        about: ['Transfers a gigabyte in seconds', 'Works with phones and laptops'],
        next: ['memory', 'cleaning'],
      },
    },
  },
  {
    name: 'Camping & Hiking',
    brands: ['Trailmark', 'Summitry', 'Wildpine', 'Basecamp Co', 'Ridgeway'],
    types: {
      tent: {
        names: ['Two Person Tent', 'Ultralight Backpacking Tent', 'Family Dome Tent'],
        about: ['Waterproof rainfly and taped seams', 'Pitches in five minutes'],
        next: ['sleepingbag', 'stakes'],
      },
      sleepingbag: {
        names: ['Mummy Sleeping Bag', 'Three Season Sleeping Bag'],
        about: ['Rated down to minus five degrees', 'Compresses to the size of a loaf'],
        next: ['sleepingpad', 'pillow'],
      },
      sleepingpad: {
        names: ['Inflatable Sleeping Pad', 'Foam Camping Mattress'],
        about: ['Insulates against cold ground', 'Inflates in twelve breaths'],
        next: ['pillow', 'lantern'],
      },
      pillow: {
        names: ['Packable Camp Pillow', 'Inflatable Neck Pillow'],
        about: ['Brushed cover, washable', 'Weighs eighty grams'],
        next: ['lantern', 'stove'],
      },
      stakes: {
        names: ['Tent Stakes and Guy Lines', 'Footprint Groundsheet'],
        about: ['Forged aluminium with reflective cord', 'Protects the tent floor from stones'],
        next: ['sleepingbag', 'lantern'],
      },
      lantern: {
        names: ['Rechargeable Lantern', 'LED Headlamp'],
        about: ['Runs sixty hours on low', 'Red night mode and SOS signal'],
        next: ['stove', 'hikingpack'],
      },
      stove: {
        names: ['Canister Stove', 'Portable Gas Burner'],
        about: ['Boils a litre in three minutes', 'Wind shield and piezo ignition'],
        next: ['cookset', 'waterfilter'],
      },
      cookset: {
        names: ['Nesting Cook Set', 'Titanium Pot and Pan Kit'],
        about: ['Nonstick with folding handles', 'Serves two to three hikers'],
        next: ['waterfilter', 'hikingpack'],
      },
      waterfilter: {
        names: ['Squeeze Water Filter', 'Hydration Purifier Bottle'],
        about: ['Removes bacteria and protozoa', 'Filters a thousand litres'],
        next: ['hikingpack', 'stove'],
      },
      hikingpack: {
        names: ['Trekking Backpack 50L', 'Daypack with Hip Belt'],
        about: ['Ventilated back and adjustable torso', 'Loops for poles and axes'],
        next: ['tent', 'waterfilter'],
      },
    },
  },
  {
    name: 'Aquarium & Pets',
    brands: ['Aquaria', 'Finfriend', 'Reefline', 'Pawsome', 'Tidepool'],
    types: {
      tank: {
        names: ['Glass Aquarium Tank', 'Nano Fish Tank Kit'],
        about: ['Rimless crystal clear glass', 'Holds sixty litres'],
        next: ['tankfilter', 'gravel'],
      },
      tankfilter: {
        names: ['Hang-On Aquarium Filter', 'Canister Filter'],
        about: ['Three stage filtration, whisper quiet', 'Adjustable flow for small fish'],
        next: ['filtermedia', 'heater'],
      },
      filtermedia: {
        names: ['Activated Carbon Filter Media', 'Bio Ceramic Rings'],
        about: ['Houses beneficial bacteria', 'Clears odours and discolouration'],
        next: ['testkit', 'conditioner'],
      },
      heater: {
        names: ['Submersible Aquarium Heater', 'Digital Tank Thermostat'],
        about: ['Keeps water within half a degree', 'Shatterproof with automatic shutoff'],
        next: ['testkit', 'tanklight'],
      },
      gravel: {
        names: ['River Gravel Substrate', 'Planted Tank Soil'],
        about: ['Rinsed and free of dust', 'Feeds roots of aquatic plants'],
        next: ['plants', 'tanklight'],
      },
      plants: {
        names: ['Live Aquarium Plants', 'Silk Plant Decoration Set'],
        about: ['Shelter for shy fish', 'Hardy and easy to grow'],
        next: ['tanklight', 'fishfood'],
      },
      tanklight: {
        names: ['Full Spectrum Aquarium Light', 'Clip-On LED Tank Light'],
        about: ['Sunrise and sunset timer', 'Promotes healthy plant growth'],
        next: ['conditioner', 'fishfood'],
      },
      testkit: {
        names: ['Water Test Kit', 'Ammonia and Nitrate Test Strips'],
        about: ['Reads pH, nitrite and hardness', 'Results in two minutes'],
        next: ['conditioner', 'fishfood'],
      },
      conditioner: {
        names: ['Water Conditioner', 'Biological Starter Culture'],
        about: ['Neutralises chlorine at once', 'Starts the nitrogen cycle'],
        next: ['fishfood', 'filtermedia'],
      },
      fishfood: {
        names: ['Tropical Fish Flakes', 'Sinking Algae Wafers'],
        about: ['Rich in spirulina and krill', 'Enhances natural colours'],
        next: ['conditioner', 'filtermedia'],
      },
    },
  },
  {
    name: 'Skin & Hair Care',
    brands: ['Velvetine', 'Purea', 'Botanica', 'Glowhaus', 'Silkroot'],
    types: {
      cleanser: {
        names: ['Gentle Foaming Cleanser', 'Cleansing Balm'],
        about: ['Lifts make-up without stripping', 'Fragrance free for sensitive skin'],
        next: ['toner', 'serum'],
      },
      toner: {
        names: ['Hydrating Toner', 'Exfoliating Glycolic Toner'],
        about: ['Balances and refines pores', 'Rose water and witch hazel'],
        next: ['serum', 'moisturizer'],
      },
      serum: {
        names: ['Vitamin C Serum', 'Hyaluronic Acid Serum', 'Retinol Night Serum'],
        about: ['Brightens and smooths fine lines', 'Absorbs quickly, never sticky'],
        next: ['moisturizer', 'eyecream'],
      },
      moisturizer: {
        names: ['Daily Face Moisturizer', 'Barrier Repair Cream'],
        about: ['Ceramides and squalane', 'Locks in moisture for a day'],
        next: ['sunscreen', 'facemask'],
      },
      eyecream: {
        names: ['Eye Cream', 'Cooling Under Eye Patches'],
        about: ['Reduces puffiness and dark circles', 'Caffeine and peptides'],
        next: ['facemask', 'sunscreen'],
      },
      sunscreen: {
        names: ['Mineral Sunscreen SPF 50', 'Tinted Sun Fluid'],
        about: ['Broad spectrum without white cast', 'Water resistant for eighty minutes'],
        next: ['cleanser', 'facemask'],
      },
      facemask: {
        names: ['Clay Face Mask', 'Hydrogel Sheet Masks'],
        about: ['Draws out impurities', 'Spa evening in fifteen minutes'],
        next: ['toner', 'shampoo'],
      },
      shampoo: {
        names: ['Sulfate Free Shampoo', 'Volumizing Shampoo Bar'],
        about: ['Argan oil and keratin', 'Cares for coloured hair'],
        next: ['hairconditioner', 'hairoil'],
      },
      hairconditioner: {
        names: ['Repair Conditioner', 'Deep Conditioning Hair Mask'],
        about: ['Detangles and softens ends', 'Leaves hair shiny, not heavy'],
        next: ['hairoil', 'hairbrush'],
      },
      hairoil: {
        names: ['Nourishing Hair Oil', 'Rosemary Scalp Serum'],
        about: ['Tames frizz and flyaways', 'Strengthens roots'],
        next: ['hairbrush', 'shampoo'],
      },
      hairbrush: {
        names: ['Boar Bristle Hair Brush', 'Detangling Wet Brush'],
        about: ['Massages the scalp', 'Flexible bristles without pulling'],
        next: ['shampoo', 'cleanser'],
      },
    },
  },
];
